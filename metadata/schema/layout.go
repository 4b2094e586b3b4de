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

// SplitHeads moves the ownership out of each head of layout 1 into a key of its own. A head
// that changes meanwhile is read again. Agents of earlier builds that still run lose the
// partitions that they own: their writes are refused. SplitHeads calls progress after every
// transaction. It calls bad for each head that it leaves unchanged: one that can't be decoded,
// or whose partition already has an ownership key. A partition whose head can't be decoded
// gets an ownership that can't be decoded either, so that no journal that it may need is
// deleted.
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

// oldHeads lists the heads of layout 1 that can be split. It adds the others to left, and marks
// the partitions of those that can't be decoded with unknownOwnership.
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

// unknownOwnership is the value of an unknown ownership. It can't be decoded.
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
