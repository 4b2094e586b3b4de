// Package wal keeps journals on the local disk: files, entries, group commit,
// recovery, and reading by position.
//
// It promises that an entry is durable before the owners of its appends are told, in the
// order they were made; that recovery keeps every such entry and nothing that
// was never written; and that memory and disk stay within the configuration. It
// knows nothing of Kafka, of other agents or of the tier: replication stands on
// top of it (wal/replica), and its callers tell it by Trim what may be forgotten.
package wal
