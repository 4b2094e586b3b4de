package schema

import (
	"context"
	"errors"
	"slices"

	"varve/internal/id"
	"varve/metadata"
)

// splitAtOnce is how many heads one transaction of SplitHeads converts: each takes two
// guards and two writes.
const splitAtOnce = metadata.MaxTxnOps / 2

// SplitHeads gives the ownerships of the heads of layout 1 keys of their own. A head
// that changes meanwhile is read again. Agents of earlier builds that still run lose the
// partitions that they own: their writes are refused. It calls progress after every
// transaction, and bad for each head that it leaves as it is: one that can't be decoded, or
// whose partition has an ownership of its own already. A partition of which the head can't be
// decoded gets an ownership that can't be, either: whoever looks for what is still needed
// learns that it doesn't know.
func SplitHeads(ctx context.Context, store metadata.Store, progress func(done, all int), bad func(key string, err error)) error {
	left := map[string]bool{}
	for {
		old, err := oldHeads(ctx, store, left, bad)
		if err != nil || len(old) == 0 {
			return err
		}
		done := 0
		for some := range slices.Chunk(old, splitAtOnce) {
			err := splitHeads(ctx, store, some)
			if errors.Is(err, metadata.ErrConflict) {
				continue // they are read again
			}
			if err != nil {
				return err
			}
			done += len(some)
			progress(done, len(old))
		}
	}
}

// oldHeads lists the heads of layout 1 that can be split, and notes in left the others.
func oldHeads(ctx context.Context, store metadata.Store, left map[string]bool, bad func(key string, err error)) (old []StoredHead, err error) {
	owners, _, err := store.List(ctx, PrefixOwners) // first: another agent may be splitting heads
	if err != nil {
		return nil, err
	}
	kvs, _, err := store.List(ctx, PrefixHeads)
	if err != nil {
		return nil, err
	}
	owned := make(map[id.Partition]bool, len(owners))
	for _, kv := range owners {
		if p, err := ParseOwnerKey(kv.Key); err == nil {
			owned[p] = true
		}
	}
	for _, kv := range kvs {
		if left[kv.Key] || len(kv.Value) > 0 && kv.Value[0] >= headVersion {
			continue
		}
		p, err := ParseHeadKey(kv.Key)
		var h *Head
		if err == nil {
			h, err = decodeWholeHead(kv.Value)
		}
		switch {
		case err == nil && owned[p]:
			err = errOwned
		case err != nil && p != (id.Partition{}) && !owned[p]:
			s := StoredHead{Partition: p, head: kv.Mod}
			_, failed := store.Txn(ctx, s.Guards(), metadata.Put(OwnerKey(p), unknownOwnership))
			if failed != nil && !errors.Is(failed, metadata.ErrConflict) {
				return nil, failed
			}
		}
		if err != nil {
			left[kv.Key] = true
			bad(kv.Key, err)
			continue
		}
		old = append(old, StoredHead{Partition: p, Head: h, head: kv.Mod})
	}
	return old, nil
}

// unknownOwnership stands for one that no one knows; it can't be decoded.
var unknownOwnership = []byte{0xff}

// errOwned: an agent of an earlier build wrote a head, although the cluster has new ones.
var errOwned = errors.New("the partition has an ownership of its own already")

func splitHeads(ctx context.Context, store metadata.Store, old []StoredHead) error {
	var guards []metadata.Guard
	var ops []metadata.Op
	for _, s := range old {
		guards = append(guards, s.Guards()...)
		ops = append(ops, s.Ops(s.Head)...)
	}
	_, err := store.Txn(ctx, guards, ops...)
	return err
}
