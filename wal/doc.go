// Package wal keeps journals on the local disk: files, entries, group commit,
// recovery, and reading by position.
//
// It promises that an entry is durable before the owners of its appends are told, in the
// order they were made; that recovery keeps every such entry and nothing that
// was never written; and that memory and disk stay within the configuration. It
// knows nothing of Kafka, of other agents or of the tier: replication stands on
// top of it (wal/replica), and its callers tell it by Trim what may be forgotten.
//
// A [Store] opens the parts, and finds a journal by its id. They are:
//
//   - journals and journal: what is held of all journals, and of one. The order of locks
//     is described at journals.
//   - [Writer] and [Follower]: appends to a journal of this process, and to a copy.
//   - reader, with the cache of the tail and the readCache: reads by position.
//   - indexes: the directories of a file's entries.
//   - preallocator and recycler: files before they are a journal's, and after. The janitor
//     is the goroutine that calls them.
//   - spares, budget and disk: emptied files, limits, and the directory itself.
package wal
