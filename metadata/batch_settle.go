package metadata

import (
	"errors"
	"slices"

	"varve/internal/backoff"
)

// settle finds out whether a group that may have been applied, and whose guards
// fail now, was; true means that it is answered.
func (w *Writer) settle(g *group, conflict error, wait *backoff.Retry) bool {
	rev, err := w.applied(g)
	switch {
	case err == nil && rev != 0:
		w.answer([]*group{g}, rev, nil)
	case err == nil:
		w.log.Warn("guarded write failed after an outage; whether it was applied before is unknown", "key", g.ops[0].Key)
		w.answer([]*group{g}, 0, conflict)
	case errors.Is(err, ErrUnavailable):
		_ = wait.Wait(w.ctx)
		return false
	default:
		w.answer([]*group{g}, 0, err)
	}
	return true
}

// applied is the revision at which a group was applied, zero if its keys don't
// show that: all that it put must hold its values since one revision that is
// later than its guards', and all that it deleted must be absent.
func (w *Writer) applied(g *group) (Revision, error) {
	var rev Revision
	var check []Guard
	for _, o := range g.ops {
		if o.Delete {
			check = append(check, Guard{Key: o.Key})
			continue
		}
		kv, err := w.store.Get(w.ctx, o.Key)
		switch {
		case errors.Is(err, ErrNotFound):
			return 0, nil
		case err != nil:
			return 0, err
		case !sameWrite(kv, o) || rev != 0 && kv.Mod != rev:
			return 0, nil
		}
		rev = kv.Mod
		check = append(check, Guard{Key: o.Key, Mod: rev})
	}
	older := func(gd Guard) bool { return rev != 0 && gd.Mod >= rev }
	if slices.ContainsFunc(g.guards, older) {
		return 0, nil
	}
	// All of it at one moment; it also gives a revision to deletes alone.
	now, err := w.store.Txn(w.ctx, check)
	switch {
	case errors.Is(err, ErrConflict):
		return 0, nil
	case err != nil:
		return 0, err
	case rev == 0:
		return now, nil
	}
	return rev, nil
}

func sameWrite(kv KV, o Op) bool {
	return string(kv.Value) == string(o.Value) && kv.Lease == o.Lease
}
