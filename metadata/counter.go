package metadata

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Add adds n to the decimal counter at key and returns what it was before. A key that is
// missing counts as 0.
func Add(ctx context.Context, store Store, key string, n uint64) (before uint64, err error) {
	for {
		kv, err := store.Get(ctx, key)
		switch {
		case errors.Is(err, ErrNotFound):
			before = 0
		case err != nil:
			return 0, fmt.Errorf("read counter %s: %w", key, err)
		default:
			if before, err = strconv.ParseUint(string(kv.Value), 10, 64); err != nil {
				return 0, fmt.Errorf("counter %s: %w", key, err)
			}
		}
		_, err = store.Txn(ctx, []Guard{{Key: key, Mod: kv.Mod}}, Put(key, strconv.AppendUint(nil, before+n, 10)))
		if err == nil {
			return before, nil
		}
		if !errors.Is(err, ErrConflict) {
			return 0, fmt.Errorf("add %d to counter %s: %w", n, key, err)
		}
	}
}
