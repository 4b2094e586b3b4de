package partition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
)

// Ownership is the head of a partition, by which this agent owns it.
type Ownership struct {
	id     id.Partition
	deps   *Deps
	mu     *guarded
	writes *semaphore.Weighted // of the head, one at a time
}

func newOwnership(p id.Partition, deps *Deps, mu *guarded) Ownership {
	return Ownership{id: p, deps: deps, mu: mu, writes: semaphore.NewWeighted(1)}
}

// Head is the head as last committed.
func (o *Ownership) Head() *schema.Head { return o.mu.head() }

// UpdateHead alters the head and stores it, guarded by the revision of the last
// write. Losing to another agent closes the partition: it has another owner.
func (o *Ownership) UpdateHead(ctx context.Context, change func(*schema.Head) error) error {
	if err := o.writes.Acquire(ctx, 1); err != nil {
		return err
	}
	defer o.writes.Release(1)
	for {
		again, err := o.tryCommit(ctx, change)
		if !again {
			return err
		}
	}
}

// tryCommit makes one attempt; again reports that the head known here was an older
// one of this very owner, and that there is a newer to try with.
func (o *Ownership) tryCommit(ctx context.Context, change func(*schema.Head) error) (again bool, err error) {
	o.mu.Lock()
	old, stored, closed := o.mu.log.head, o.mu.log.stored, o.mu.log.closed
	o.mu.Unlock()
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
	now, err := o.deps.Heads.Write(ctx, guards, stored.Ops(head)...)
	if errors.Is(err, metadata.ErrConflict) {
		return o.conflict(ctx, stored.Rev())
	}
	if err != nil {
		return false, fmt.Errorf("store head of %v: %w", o.id, err)
	}
	o.committedHead(stored.Stored(head, now))
	return false, nil
}

// conflict finds out which agent wrote. It may have been this owner itself: a write whose
// answer was lost, after its caller had given up.
func (o *Ownership) conflict(ctx context.Context, rev metadata.Revision) (again bool, err error) {
	stored, err := schema.GetHead(ctx, o.deps.Stored, o.id)
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return false, fmt.Errorf("read head of %v: %w", o.id, err)
	}
	if err == nil && stored.Rev() > rev && stored.Head.Owner == o.Head().Owner && stored.Head.Epoch == o.Head().Epoch {
		o.committedHead(stored)
		return true, nil
	}
	o.mu.close(ErrNotOwner)
	return false, ErrNotOwner
}

// confirmPatience bounds the wait for etcd's answer.
const confirmPatience = 2 * time.Second

// Confirm asks etcd whether this agent owned the partition, in this epoch, at a moment
// after the call. What is beyond the end here may have been read elsewhere, if a new
// owner has begun and this one doesn't know: a client is not told that it doesn't exist, or
// consumers would begin anew; and no producer that its sequence doesn't follow.
// ErrNotOwner, also if etcd doesn't answer.
func (o *Ownership) Confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, confirmPatience)
	defer cancel()
	head := o.Head()
	kv, err := o.deps.Stored.Get(ctx, schema.OwnerKey(o.id))
	if err != nil {
		return fmt.Errorf("%v: %w: %w", o.id, ErrNotOwner, err)
	}
	stored, err := schema.DecodeOwnership(kv.Value)
	if err != nil || stored.Owner != head.Owner || stored.Epoch != head.Epoch {
		return fmt.Errorf("%v has another owner: %w", o.id, ErrNotOwner)
	}
	return nil
}

func (o *Ownership) committedHead(stored schema.StoredHead) {
	head := stored.Head
	o.mu.Lock()
	defer o.mu.Unlock()
	if was := o.mu.log.head.TieredEnd; head.TieredEnd > was {
		o.mu.backlog.sub(o.mu.log.tail.sizes(was, head.TieredEnd), o.deps.Clock)
	}
	o.mu.log.head, o.mu.log.stored = head, stored
	o.mu.log.start = max(o.mu.log.start, head.LogStart)
	floors := map[id.Journal]wal.Pos{}
	o.mu.log.tail.drop(head.TieredEnd, func(j id.Journal, pos wal.Pos) bool {
		if j == nowhere {
			return true
		}
		floor, ok := floors[j]
		if !ok {
			floor = o.deps.Local.Floor(j)
			floors[j] = floor
		}
		return pos < floor
	})
	o.mu.producers.expire(o.mu.settings, o.deps.Clock)
}

func cloneHead(h *schema.Head) *schema.Head {
	c := *h
	c.Chain = slices.Clone(h.Chain)
	c.Epochs = slices.Clone(h.Epochs)
	c.Slices = slices.Clone(h.Slices)
	return &c
}
