package metadata

import (
	"errors"
	"fmt"
	"time"
)

// opOverhead is what an operation is reckoned to cost on the wire beside its
// key and value.
const opOverhead = 32

// opsSize is how many bytes guards and ops take in a transaction.
func opsSize(guards []Guard, ops []Op) int {
	n := 0
	for _, g := range guards {
		n += len(g.Key) + opOverhead
	}
	for _, o := range ops {
		n += len(o.Key) + len(o.Value) + opOverhead
	}
	return n
}

// checkTxn refuses what no implementation may accept, so that all of them
// refuse the same.
func checkTxn(guards []Guard, ops []Op) error {
	if len(guards) > MaxTxnOps || len(ops) > MaxTxnOps {
		return fmt.Errorf("%d guards and %d writes, at most %d are allowed: %w",
			len(guards), len(ops), MaxTxnOps, ErrTooLarge)
	}
	if n := opsSize(guards, ops); n > MaxTxnBytes {
		return fmt.Errorf("%d bytes, at most %d are allowed: %w", n, MaxTxnBytes, ErrTooLarge)
	}
	seen := make(map[string]struct{}, len(ops))
	for _, o := range ops {
		if err := checkKey(o.Key); err != nil {
			return err
		}
		if _, twice := seen[o.Key]; twice {
			return fmt.Errorf("key %q is written twice in one transaction", o.Key)
		}
		seen[o.Key] = struct{}{}
	}
	for _, g := range guards {
		if err := checkKey(g.Key); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(key string) error {
	if key == "" {
		return errors.New("key is empty")
	}
	return nil
}

// ttlSeconds rounds a time to live up to the whole seconds that leases have.
func ttlSeconds(ttl time.Duration) (int64, error) {
	if ttl <= 0 {
		return 0, fmt.Errorf("session ttl %v, allowed is more than 0", ttl)
	}
	return int64((ttl + time.Second - 1) / time.Second), nil
}
