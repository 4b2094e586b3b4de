package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
)

// Cost is what giving up a journal may cost.
type Cost struct {
	Journal id.Journal
	Record  cluster.Journal
	// Partitions may have their newest records in it: those after what the tier has,
	// as far as no live member has them, would be lost.
	Partitions []id.Partition
	// Tiered is up to which offset the tier has each of them.
	Tiered map[id.Partition]int64
	// TieredMs is the largest timestamp that it has of any of them; -1: none.
	TieredMs int64
}

// LossCost returns what giving up a journal may cost, or cluster.ErrNoLoss.
func (c *Controller) LossCost(ctx context.Context, j id.Journal) (Cost, error) {
	cost := Cost{Journal: j, Tiered: map[id.Partition]int64{}, TieredMs: -1}
	var err error
	if cost.Record, err = c.abandoned(ctx, j); err != nil {
		return cost, err
	}
	var bad error
	heads, err := schema.ListHeads(ctx, c.deps.Store, nil, func(key string, err error) { bad = fmt.Errorf("%s: %w", key, err) })
	if err = errors.Join(err, bad); err != nil {
		return cost, err
	}
	for _, p := range slices.SortedFunc(maps.Keys(heads), id.Partition.Compare) {
		h := heads[p].Head
		if slices.ContainsFunc(h.Chain, func(l schema.Link) bool { return l.Writer == j.Writer }) {
			cost.Partitions = append(cost.Partitions, p)
			cost.Tiered[p] = h.TieredEnd
			if n := len(h.Slices); n > 0 {
				cost.TieredMs = max(cost.TieredMs, h.Slices[n-1].MaxTime)
			}
		}
	}
	return cost, nil
}

// abandoned reads the record of a journal whose writer is gone.
func (c *Controller) abandoned(ctx context.Context, j id.Journal) (rec cluster.Journal, err error) {
	kv, err := c.deps.Store.Get(ctx, schema.JournalKey(j))
	if errors.Is(err, metadata.ErrNotFound) {
		return rec, fmt.Errorf("%w: journal %v is not known, nothing waits for it", cluster.ErrNoLoss, j)
	}
	if err != nil {
		return rec, err
	}
	rec.Mod = kv.Mod
	if rec.Journal, err = schema.DecodeJournal(kv.Value); err != nil {
		return rec, err
	}
	if c.deps.View.Alive(j.Writer, rec.Broker) {
		return rec, fmt.Errorf("%w: the writer of journal %v, agent %d, is alive", cluster.ErrNoLoss, j, rec.Broker)
	}
	if len(rec.Ensemble) == 0 {
		return rec, fmt.Errorf("the record of journal %v names no member", j)
	}
	ping, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	if found, err := c.deps.Peers.Ping(ping, rec.Ensemble[0]); err == nil && found == j.Writer {
		return rec, fmt.Errorf("%w: the writer of journal %v, agent %d, has no session but answers: end it first", cluster.ErrNoLoss, j, rec.Broker)
	}
	return rec, nil
}

// Loss is what giving up a journal came to.
type Loss struct {
	Journal id.Journal
	// Kept is the number of entries that live members still had; they are kept, those
	// behind them are lost.
	Kept uint64
	// Whole: the members that answered were enough to know that nothing is lost.
	Whole bool
	// Lost is how many entries were lost; -1: not known, since only members that are gone
	// know how far the journal went.
	Lost int64
	// Gone: no live member had anything; all that wasn't in the tier is lost.
	Gone bool
}

// AcceptLoss gives up what no live store has of a dead writer's journal, so that its
// partitions can be served again. It is an operator's decision: records that were
// acknowledged may be lost. Any agent may do it; cluster.ErrNoLoss if there is none.
func (c *Controller) AcceptLoss(ctx context.Context, j id.Journal) (l Loss, err error) {
	for range lossTries {
		l, err = c.acceptLoss(ctx, j)
		if !errors.Is(err, metadata.ErrConflict) && !errors.Is(err, wal.ErrFenced) {
			break // else the controller tried to recover it at the same time
		}
	}
	return l, err
}

// lossTries is how often giving up is begun anew when someone else came between.
const lossTries = 10

func (c *Controller) acceptLoss(ctx context.Context, j id.Journal) (l Loss, err error) {
	l.Journal, l.Lost = j, -1
	rec, err := c.abandoned(ctx, j)
	if err != nil {
		return l, err
	}
	next := rec.Journal
	if next.State != schema.JournalSealed {
		next.State = schema.JournalRecovering
	}
	key := schema.JournalKey(j)
	mod, err := c.deps.Store.Txn(ctx, []metadata.Guard{{Key: key, Mod: rec.Mod}}, metadata.Put(key, next.Encode()))
	if err != nil {
		return l, fmt.Errorf("begin: %w", err)
	}
	next.Fence = uint64(mod)
	keepers := rec.Keepers()
	held, missing, err := c.fence(ctx, j, keepers, next.Fence, 0, len(keepers)) // whoever answers
	if err == nil {
		err = c.unheard(keepers, missing)
	}
	if err != nil {
		return l, err
	}
	if err := c.settleLoss(ctx, rec, &next, held, &l); err != nil {
		return l, err
	}
	if _, err := c.deps.Store.Txn(ctx, []metadata.Guard{{Key: key, Mod: mod}}, metadata.Put(key, next.Encode())); err != nil {
		return l, err
	}
	c.log.Warn("loss accepted", "journal", j, "kept_entries", l.Kept, "lost_entries", l.Lost, "gone", l.Gone, "whole", l.Whole)
	return l, nil
}

// unheard refuses to give anything up while a keeper has a session and doesn't report what
// it has: it may have all of it.
func (c *Controller) unheard(keepers []id.Store, missing map[id.Store]error) error {
	for _, s := range keepers {
		if a, live := c.deps.View.Store(s); live && missing[s] != nil && !errors.Is(missing[s], wal.ErrUnknown) {
			return fmt.Errorf("agent %d lives and may have what would be lost, but didn't say: end it first, or try again: %w", a.Broker, missing[s])
		}
	}
	return nil
}

// settleLoss decides, by what members hold, what the journal comes to.
func (c *Controller) settleLoss(ctx context.Context, rec cluster.Journal, next *schema.Journal, held map[id.Store]uint64, l *Loss) error {
	var keeper id.Store
	for _, s := range rec.Keepers() {
		if last, ok := held[s]; ok && last >= l.Kept {
			keeper, l.Kept = s, last
		}
	}
	if rec.State == schema.JournalSealed {
		if l.Kept >= rec.End {
			return noLoss(rec, keeper, l.Journal)
		}
		l.Lost = int64(rec.End - l.Kept)
	} else if w, q := len(rec.Ensemble), int(rec.Quorum); len(held) >= w-q+1 {
		if end, holders, err := c.complete(ctx, l.Journal, next.Fence, rec.Ensemble, held, min(q, len(held))); err == nil {
			next.State, next.End, next.Holders = schema.JournalSealed, end, holders
			l.Kept, l.Whole, l.Lost = end, true, 0
			return nil
		}
	}
	l.Gone = l.Kept == 0
	// The record stays while a chain names the writer: heirs learn from it that what is
	// missing was given up.
	next.State, next.End, next.Holders, next.Lost = schema.JournalSealed, l.Kept, nil, true
	if !l.Gone {
		next.Ensemble, next.Quorum = []id.Store{keeper}, 1
	}
	return nil
}

func noLoss(rec cluster.Journal, keeper id.Store, j id.Journal) error {
	if rec.End == 0 {
		return fmt.Errorf("%w: journal %v ends before its first entry", cluster.ErrNoLoss, j)
	}
	return fmt.Errorf("%w: store %v has all of journal %v", cluster.ErrNoLoss, keeper, j)
}
