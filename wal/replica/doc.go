// Package replica keeps journals on several stores: it sends a writer's entries to
// the other members of the ensemble, counts who has them on disk, and returns
// recoverers and heirs what they ask of any store.
//
// It promises that an entry is committed only when a quorum of the ensemble's
// stores, with the ids that were named, has said that it is durable with all before
// it; that after a member answered a fence nothing from below becomes durable there;
// and that a store which doesn't know a journal never answers for it. Memory is
// bounded by the configuration, whatever a peer does. It knows nothing of Kafka, of
// etcd, or of who should be a member: it reports, and its caller decides.
package replica
