package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
	"varve/wal/replica"
)

// fencePatience bounds the wait for one member's answer; it includes a sync there,
// and the reading of a journal's tail.
const fencePatience = 10 * time.Second

// reach reports whether enough members answer at all, before anything is written anywhere:
// those of a journal that waits for lost disks never will.
func (c *Controller) reach(ctx context.Context, members []id.Store, enough int) error {
	answers := make(chan answer, len(members))
	for _, s := range members {
		c.tasks.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, fencePatience)
			defer cancel()
			_, err := c.deps.Peers.Ping(ctx, s)
			answers <- answer{s, 0, err}
		})
	}
	heard, missing := 0, map[id.Store]error{}
	for range members {
		a := <-answers
		if a.err != nil {
			missing[a.store] = fmt.Errorf("store %v: %w", a.store, a.err)
		} else if heard++; heard >= enough {
			return nil
		}
	}
	return fmt.Errorf("%d of %d members answered, %d must: %w", heard, len(members), enough, inOrder(members, missing))
}

// recover does steps 1 to 5 of "Recovery" in docs/design/0005. It may end at any point and be begun again, here
// or elsewhere.
func (c *Controller) recover(ctx context.Context, j id.Journal, rec cluster.Journal) (end uint64, err error) {
	w, q := len(rec.Ensemble), int(rec.Quorum)
	if q < 1 || q > w {
		return 0, fmt.Errorf("its record names %d members and a quorum of %d", w, q)
	}
	if err := c.reach(ctx, rec.Ensemble, w-q+1); err != nil {
		return 0, err
	}
	next := rec.Journal
	next.State = schema.JournalRecovering
	key := schema.JournalKey(j)
	rev, err := c.deps.Store.Txn(ctx, []metadata.Guard{{Key: key, Mod: rec.Mod}}, metadata.Put(key, next.Encode()))
	if err != nil {
		return 0, fmt.Errorf("begin recovery: %w", err)
	}
	epoch := uint64(rev)
	held, _, err := c.fence(ctx, j, rec.Ensemble, epoch, w-q+1, c.answers(rec))
	if err != nil {
		return 0, err
	}
	copies := q
	if mutate.On(mutate.SealUncopied) {
		copies = 1
	}
	if end, next.Holders, err = c.complete(ctx, j, epoch, rec.Ensemble, held, copies); err != nil {
		return 0, err
	}
	next.State, next.Fence, next.End = schema.JournalSealed, epoch, end
	if rev, err = c.deps.Store.Txn(ctx, []metadata.Guard{{Key: key, Mod: rev}}, metadata.Put(key, next.Encode())); err != nil {
		return 0, fmt.Errorf("seal at entry %d: %w", end, err)
	}
	return end, c.deps.View.Await(ctx, schema.PrefixJournals, rev) // or it would be begun again
}

// answers is how many members are waited for: Q, so that nothing has to be copied, or
// all that live if that is less.
func (c *Controller) answers(rec cluster.Journal) (live int) {
	for _, s := range rec.Ensemble {
		if _, ok := c.deps.View.Store(s); ok {
			live++
		}
	}
	return min(int(rec.Quorum), live)
}

// answer is what a member said when it was fenced.
type answer struct {
	store id.Store
	last  uint64
	err   error
}

// fence asks all members, and goes on when as many as are needed have answered; enough of
// them must. It returns what they hold, and why those that were heard of hold nothing.
func (c *Controller) fence(ctx context.Context, j id.Journal, members []id.Store, epoch uint64, enough, wanted int) (held map[id.Store]uint64, missing map[id.Store]error, err error) {
	answers := make(chan answer, len(members))
	for _, s := range members {
		c.tasks.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, fencePatience)
			defer cancel()
			last, err := c.deps.Peers.Fence(ctx, s, j, epoch)
			answers <- answer{s, last, err}
		})
	}
	held = map[id.Store]uint64{}
	missing = make(map[id.Store]error, len(members))
	for range members {
		a := <-answers
		switch {
		case errors.Is(a.err, wal.ErrFenced):
			return nil, nil, fmt.Errorf("store %v: %w", a.store, a.err) // a later recoverer is at work
		case errors.Is(a.err, wal.ErrUnknown):
			missing[a.store] = fmt.Errorf("store %v never had it or was wiped: %w", a.store, wal.ErrUnknown)
		case errors.Is(a.err, replica.ErrOtherStore) && mutate.On(mutate.CountWiped):
			held[a.store] = 0
		case a.err != nil:
			missing[a.store] = fmt.Errorf("store %v: %w", a.store, a.err)
		default:
			held[a.store] = a.last
		}
		if len(held) >= max(enough, wanted) {
			break
		}
	}
	if len(held) < enough {
		return nil, missing, fmt.Errorf("%d of %d members answered, %d must: %w", len(held), len(members), enough, inOrder(members, missing))
	}
	return held, missing, nil
}

// inOrder joins what members said in the order of the members, so that the same
// trouble always reads the same.
func inOrder(members []id.Store, said map[id.Store]error) error {
	var all []error
	for _, s := range members {
		all = append(all, said[s])
	}
	return errors.Join(all...)
}

// complete finds the end and copies until Q stores hold everything up to it: members
// that were fenced, and where these are too few, others that live, which are recruited
// (design page 0005, step 4; docs/spec shows why fewer won't do).
func (c *Controller) complete(ctx context.Context, j id.Journal, epoch uint64, ensemble []id.Store, held map[id.Store]uint64, enough int) (end uint64, holders []id.Store, err error) {
	for _, last := range held {
		end = max(end, last)
	}
	if end == 0 {
		return 0, nil, nil
	}
	var have, lack []id.Store
	for _, s := range slices.SortedFunc(maps.Keys(held), func(a, b id.Store) int { return slices.Compare(a[:], b[:]) }) {
		if held[s] == end {
			have = append(have, s)
		} else {
			lack = append(lack, s)
		}
	}
	var failed []error
	sources := slices.Clone(have)
	give := func(to id.Store, copy func(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, upTo uint64) error) bool {
		err := c.copy(ctx, copy, j, epoch, sources, to, end)
		if err != nil {
			failed = append(failed, err)
			return false
		}
		have = append(have, to)
		return true
	}
	for _, to := range lack {
		if len(have) < enough {
			give(to, c.deps.Peers.Copy)
		}
	}
	for _, a := range c.deps.View.Agents() {
		if len(have) < enough && !slices.Contains(ensemble, a.Store) && !a.Leaving && give(a.Store, c.deps.Peers.Recruit) {
			holders = append(holders, a.Store)
		}
	}
	if len(have) < enough && !(mutate.On(mutate.CountWiped) && len(have) > 0) {
		return 0, nil, fmt.Errorf("%d stores hold everything up to entry %d, %d must: %w", len(have), end, enough, errors.Join(failed...))
	}
	return end, holders, nil
}

// copy tries each member that has everything, until one could give it.
func (c *Controller) copy(ctx context.Context, copy func(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, upTo uint64) error, j id.Journal, epoch uint64, have []id.Store, to id.Store, end uint64) error {
	var failed []error
	for _, from := range have {
		err := copy(ctx, j, epoch, from, to, end)
		if err == nil {
			return nil
		}
		failed = append(failed, fmt.Errorf("copy from store %v to %v: %w", from, to, err))
	}
	return errors.Join(failed...)
}
