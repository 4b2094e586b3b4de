package metadata

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// splitAtOnce is how many heads one transaction of SplitHeads converts: each takes two
// guards and two writes.
const splitAtOnce = MaxTxnOps / 2

// SplitHeads brings heads of layout 1 to layout 2: their ownership gets a key of its own. A head
// that changes meanwhile is read again. Agents of earlier builds that still run lose the
// partitions that they own: their writes are refused. It calls progress after every
// transaction.
func SplitHeads(ctx context.Context, store Store, progress func(done, all int)) error {
	for {
		kvs, _, err := store.List(ctx, PrefixHeads)
		if err != nil {
			return err
		}
		kvs = slices.DeleteFunc(kvs, func(kv KV) bool { return len(kv.Value) > 0 && kv.Value[0] >= headVersion })
		if len(kvs) == 0 {
			return nil
		}
		done, all := 0, len(kvs)
		for some := range slices.Chunk(kvs, splitAtOnce) {
			err := splitHeads(ctx, store, some)
			if errors.Is(err, ErrConflict) {
				continue // they are read again
			}
			if err != nil {
				return err
			}
			done += len(some)
			progress(done, all)
		}
	}
}

func splitHeads(ctx context.Context, store Store, kvs []KV) error {
	var guards []Guard
	var ops []Op
	for _, kv := range kvs {
		p, err := ParseHeadKey(kv.Key)
		if err != nil {
			return err
		}
		h, err := decodeWholeHead(kv.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", kv.Key, err)
		}
		s := StoredHead{Partition: p, head: kv.Mod}
		guards = append(guards, s.Guards()...)
		ops = append(ops, s.Ops(h)...)
	}
	_, err := store.Txn(ctx, guards, ops...)
	return err
}
