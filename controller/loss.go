package controller

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/metadata"
)

// Loss is what giving up a journal came to.
type Loss struct {
	Journal id.Journal
	// Kept is the number of entries that a live member still had; they are kept, those
	// behind them are lost.
	Kept uint64
	// Gone: no live member had anything; all that wasn't in the tier is lost.
	Gone bool
}

// AcceptLoss gives up what no live store has of a dead writer's journal, so that its
// partitions can be served again. It is an operator's decision: records that were
// acknowledged may be lost. Any agent may do it.
func (c *Controller) AcceptLoss(ctx context.Context, j id.Journal) (l Loss, err error) {
	l.Journal = j
	key := metadata.JournalKey(j)
	kv, err := c.deps.Store.Get(ctx, key)
	if errors.Is(err, metadata.ErrNotFound) {
		return l, fmt.Errorf("journal %v is not known: nothing waits for it", j)
	}
	if err != nil {
		return l, err
	}
	rec, err := metadata.DecodeJournal(kv.Value)
	if err != nil {
		return l, err
	}
	if c.deps.View.Alive(j.Writer, rec.Broker) {
		return l, fmt.Errorf("the writer of journal %v, agent %d, is alive", j, rec.Broker)
	}
	mod := kv.Mod
	var keeper id.Store
	if rec.State != metadata.JournalSealed {
		rec.State = metadata.JournalRecovering
		if mod, err = c.deps.Store.Txn(ctx, []metadata.Guard{{Key: key, Mod: mod}}, metadata.Put(key, rec.Encode())); err != nil {
			return l, err
		}
		held, _ := c.fence(ctx, j, rec.Ensemble, uint64(mod), 0, len(rec.Ensemble)) // whoever answers
		for s, last := range held {
			if last >= l.Kept {
				keeper, l.Kept = s, last
			}
		}
	}
	l.Gone = l.Kept == 0
	change := metadata.Delete(key)
	if !l.Gone {
		rec.State, rec.Fence, rec.End, rec.Ensemble, rec.Quorum = metadata.JournalSealed, uint64(mod), l.Kept, []id.Store{keeper}, 1
		change = metadata.Put(key, rec.Encode())
	}
	if _, err := c.deps.Store.Txn(ctx, []metadata.Guard{{Key: key, Mod: mod}}, change); err != nil {
		return l, err
	}
	c.log.Warn("a loss was accepted", "journal", j, "kept_entries", l.Kept, "gone", l.Gone)
	return l, nil
}
