package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/id"
	"varve/wal"
)

// Batch is a record batch in a journal.
type Batch struct {
	wal.Record
	At wal.Pos // where its bytes are
}

// gatherPatience bounds how long a store that is asked for a journal's directories may
// say nothing.
const gatherPatience = 5 * time.Second

// Gather returns the wanted batches of a sealed journal up to entry end, in order, without
// their bytes, and the store that had them: this one if it has all of the journal, or a live
// one of the keepers.
func (t *Tails) Gather(ctx context.Context, j id.Journal, end uint64, keepers []id.Store, live func(id.Store) bool, wanted func(*wal.Record) bool) (id.Store, []Batch, error) {
	from, err := t.source(j, end, keepers, live, id.Store{})
	if err != nil {
		return from, nil, err
	}
	found, err := t.gatherFrom(ctx, from, j, end, wanted)
	if err == nil {
		return from, found, nil
	}
	other, findErr := t.source(j, end, keepers, live, from)
	if findErr != nil {
		return from, nil, errors.Join(err, findErr)
	}
	found, again := t.gatherFrom(ctx, other, j, end, wanted)
	if again != nil {
		return other, nil, errors.Join(err, again)
	}
	return other, found, nil
}

// source returns a store that has all of a journal: this one, if it is not the one that
// just failed, or another that is live.
func (t *Tails) source(j id.Journal, end uint64, keepers []id.Store, live func(id.Store) bool, not id.Store) (id.Store, error) {
	var others []id.Store
	for _, s := range keepers {
		if s == t.store.ID() && s != not {
			if last, err := t.store.Last(j); err == nil && last >= end {
				return s, nil
			}
		} else if live(s) {
			others = append(others, s)
		}
	}
	return t.Search(j, end, others, not)
}

// gatherFrom returns what a store has.
func (t *Tails) gatherFrom(ctx context.Context, from id.Store, j id.Journal, end uint64, wanted func(*wal.Record) bool) ([]Batch, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(gatherPatience, func() { cancel(fmt.Errorf("nothing was heard for %v", gatherPatience)) })
	defer silent.Stop()
	var found []Batch
	err := t.peers.Entries(ctx, from, j, func(e *wal.Entry) error {
		silent.Reset(gatherPatience)
		if e.Number > end {
			return nil // not decided to count
		}
		for i := range e.Records {
			if r := &e.Records[i]; wanted(r) {
				found = append(found, Batch{*r, e.Place(r)})
			}
		}
		return nil
	})
	if err == nil {
		return found, nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return nil, fmt.Errorf("store %v: %w", from, err)
}
