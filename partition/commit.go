package partition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata"
	"varve/tiering/object"
	"varve/wal"
)

// Pending returns what is committed and not in the tier, from an offset on, at most
// about limit bytes.
func (p *Partition) Pending(from, limit int64) object.Run {
	var known []entry
	p.mu.Lock()
	run := object.Run{Batches: p.mu.log.pending(from, limit)}
	n := len(run.Batches)
	if n > 0 {
		known = p.mu.producers.copy()
	}
	p.mu.Unlock()
	if n > 0 {
		run.Producers = snapshot(known, run.Batches[n-1].End)
	}
	return run
}

// PendingBytes returns how much waits for the tier and since when, in ms. What is owned by
// another agent by now, or by none, waits for nothing here: its head refuses every
// commit, and each try would store the same records in the bucket again.
func (p *Partition) PendingBytes() (bytes, oldest int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.log.closed != nil {
		return 0, 0
	}
	return p.mu.backlog.bytes, p.mu.backlog.since
}

// Read fills buf with a pending batch.
func (p *Partition) Read(_ context.Context, b object.Batch, buf []byte) error {
	return readAt(p.deps.Local, buf, b.Location.Journal, wal.Pos(b.Location.Pos), b.Base, b.End, b.Epoch)
}

// Needs tells, for each journal that holds something which is not in the tier,
// the first place of it.
func (p *Partition) Needs(each func(j id.Journal, from wal.Pos)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tiered := p.mu.log.head.TieredEnd
	if mutate.On(mutate.TrimUntiered) {
		tiered = p.mu.log.high
	}
	p.mu.log.tail.needs(tiered, each)
}

// UpdateHead alters the head and stores it, guarded by the revision of the last
// write. Losing to another agent closes the partition: it has another owner.
func (p *Partition) UpdateHead(ctx context.Context, change func(*metadata.Head) error) error {
	select {
	case <-p.commit:
		defer func() { p.commit <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		again, err := p.tryCommit(ctx, change)
		if !again {
			return err
		}
	}
}

// tryCommit makes one attempt; again reports that the head known here was an older
// one of this very owner, and that there is a newer to try with.
func (p *Partition) tryCommit(ctx context.Context, change func(*metadata.Head) error) (again bool, err error) {
	p.mu.Lock()
	old, stored, closed := p.mu.log.head, p.mu.log.stored, p.mu.log.closed
	p.mu.Unlock()
	if closed != nil {
		return false, ErrNotOwner
	}
	head := cloneHead(old)
	if err := change(head); err != nil {
		return false, err
	}
	head.Trim()
	guards := stored.Guards()
	if mutate.On(mutate.UnguardedHeads) {
		guards = nil
	}
	now, err := p.deps.Heads.Write(ctx, guards, stored.Ops(head)...)
	if errors.Is(err, metadata.ErrConflict) {
		return p.conflict(ctx, stored.Rev())
	}
	if err != nil {
		return false, fmt.Errorf("store head of %v: %w", p.id, err)
	}
	p.committedHead(stored.Stored(head, now))
	return false, nil
}

// conflict finds out which agent wrote. It may have been this owner itself: a write whose
// answer was lost, after its caller had given up.
func (p *Partition) conflict(ctx context.Context, rev metadata.Revision) (again bool, err error) {
	stored, err := metadata.GetHead(ctx, p.deps.Stored, p.id)
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return false, fmt.Errorf("read head of %v: %w", p.id, err)
	}
	if err == nil && stored.Rev() > rev && stored.Head.Owner == p.Head().Owner && stored.Head.Epoch == p.Head().Epoch {
		p.committedHead(stored)
		return true, nil
	}
	p.Close()
	return false, ErrNotOwner
}

// confirmPatience bounds the wait for etcd's answer.
const confirmPatience = 2 * time.Second

// Confirm asks etcd whether this agent owned the partition, in this epoch, at a moment
// after the call. What is beyond the end here may have been read elsewhere, if a new
// owner has begun and this one doesn't know: a client is not told that it doesn't exist, or
// consumers would begin anew; and no producer that its sequence doesn't follow.
// ErrNotOwner, also if etcd doesn't answer.
func (p *Partition) Confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, confirmPatience)
	defer cancel()
	head := p.Head()
	kv, err := p.deps.Stored.Get(ctx, metadata.OwnerKey(p.id))
	if err != nil {
		return fmt.Errorf("%v: %w: %w", p.id, ErrNotOwner, err)
	}
	stored, err := metadata.DecodeOwnership(kv.Value)
	if err != nil || stored.Owner != head.Owner || stored.Epoch != head.Epoch {
		return fmt.Errorf("%v has another owner: %w", p.id, ErrNotOwner)
	}
	return nil
}

func (p *Partition) committedHead(stored metadata.StoredHead) {
	head := stored.Head
	p.mu.Lock()
	defer p.mu.Unlock()
	if was := p.mu.log.head.TieredEnd; head.TieredEnd > was {
		p.mu.backlog.sub(p.mu.log.tail.sizes(was, head.TieredEnd), p.deps.Clock)
	}
	p.mu.log.head, p.mu.log.stored = head, stored
	p.mu.log.start = max(p.mu.log.start, head.LogStart)
	floors := map[id.Journal]wal.Pos{}
	p.mu.log.tail.drop(head.TieredEnd, func(j id.Journal, pos wal.Pos) bool {
		if j == nowhere {
			return true
		}
		floor, ok := floors[j]
		if !ok {
			floor = p.deps.Local.Floor(j)
			floors[j] = floor
		}
		return pos < floor
	})
	p.mu.producers.expire(p.mu.settings, p.deps.Clock)
}

func cloneHead(h *metadata.Head) *metadata.Head {
	c := *h
	c.Chain = slices.Clone(h.Chain)
	c.Epochs = slices.Clone(h.Epochs)
	c.Slices = slices.Clone(h.Slices)
	return &c
}
