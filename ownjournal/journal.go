// Package ownjournal keeps the journals that concern this agent's disk: the one that this
// incarnation writes (Journal), over all changes of its members, and the copies that this
// disk has of others (Disk).
//
// What is to be done follows from one look at the cluster and the time (reconcile), without
// asking anybody; Run does it.
//
// It promises that etcd names a journal only after all of its members joined it durably,
// that a journal which others sealed ends this agent, and that nothing is deleted from this
// disk, or from etcd, that a partition may still need. It decides nothing about journals of
// dead agents: these are the controller's.
package ownjournal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
	"varve/wal/replica"
)

// ErrReplaced ends an agent whose journal another has sealed: it was taken for dead,
// and its partitions have other owners. It may begin again as a new incarnation.
var ErrReplaced = errors.New("this agent was taken for dead and replaced")

// Config is how the journal is kept.
type Config struct {
	Rack   string // of this agent
	Factor int    // how many stores are to keep the journal
	Quorum int    // how many of them must have an entry before it is acknowledged
	// GatherFor is how long Open waits for Factor agents before it begins with fewer.
	GatherFor time.Duration
	// ReplaceAfter is how long a member may be gone before another takes its place.
	ReplaceAfter time.Duration
	// StrandedAfter is how long too few members may be connected, though they live, before
	// this agent ends.
	StrandedAfter time.Duration
}

// Partitions are those that this agent serves.
type Partitions interface {
	// Needs calls f for the journals that partitions here need, and from where on.
	Needs(f func(j id.Journal, from wal.Pos))
	// Accounts reports whether a partition that this agent owns needs no more of any journal
	// than Needs tells: it is open here, or all of it was uploaded and it was closed.
	Accounts(p id.Partition) bool
}

// Deps is what a Journal and a Disk use.
type Deps struct {
	Self        id.Broker
	Incarnation id.Incarnation
	Store       *wal.Store
	Node        *replica.Node
	View        *cluster.View
	Meta        metadata.Store
	Seen        *metadata.Seen
	Partitions  Partitions
	// Registered returns the revision of this agent's registration.
	Registered func() metadata.Revision
	// Leaving reports whether this agent was told to stop.
	Leaving func() bool
	// Flush uploads all that is committed.
	Flush func(context.Context) error
	// Waiting is called with what Open waits for.
	Waiting func(string)
	// Go starts a goroutine that the agent waits for.
	Go func(func())
	// Fatal ends this agent.
	Fatal func(error)
	Now   func() time.Time
	Log   *slog.Logger
}

// Journal is what this incarnation writes: one journal after another.
type Journal struct {
	cfg    Config
	deps   Deps
	writer *wal.Writer

	seq     uint32 // of the newest journal; only Open, and then a change of members, uses it
	refused *refusals
	memory  memory      // Run's
	sealing atomic.Bool // it is being sealed here

	changing, trimming, asking atomic.Bool // tasks that are under way
}

// ID returns the journal that is written.
func (j *Journal) ID() id.Journal { return j.writer.ID() }

// Writer returns what appends to the journal. It is the same for all journals of this
// incarnation.
func (j *Journal) Writer() *wal.Writer { return j.writer }

// lookEvery is how often Run looks, if nothing has changed.
const lookEvery = 500 * time.Millisecond

// Run keeps the journal until ctx ends: it replaces members, trims journals that were left,
// and ends this agent if the journal has ended.
func (j *Journal) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	ended := j.writer.Ended()
	for {
		members, view := j.deps.Node.Changed(), j.deps.View.Changed()
		j.do(ctx, j.memory.reconcile(&j.cfg, j.look(), j.deps.Now()))
		select {
		case <-members:
		case <-view:
		case <-tick.C:
		case <-ended:
			ended = nil
			j.writerEnded()
		case <-ctx.Done():
			return
		}
	}
}

// look gathers what reconcile decides by.
func (j *Journal) look() *snapshot {
	s := look(j.deps.View, j.deps.Store.ID(), j.refused.all())
	s.mine = j.ID()
	s.members = j.deps.Node.Members(s.mine)
	s.noteMoved(j.deps.View, s.journals[s.mine].Ensemble)
	s.sealing, s.leaving = j.sealing.Load(), j.deps.Leaving() // after the view: it may show what they led to
	s.changing, s.trimming, s.asking = j.changing.Load(), j.trimming.Load(), j.asking.Load()
	return s
}

// do carries out what reconcile decided. What may take long is done aside.
func (j *Journal) do(ctx context.Context, a actions) {
	if a.end != nil {
		j.deps.Fatal(a.end)
	}
	if a.change != nil {
		j.aside(&j.changing, func() {
			if err := j.ChangeMembers(ctx, a.change.from, a.change.rec, a.change.to); err != nil && ctx.Err() == nil {
				j.deps.Log.Warn("journal members not changed", "journal", a.change.from, "err", err)
			}
		})
	}
	if a.trim {
		j.aside(&j.trimming, func() { j.Trim(ctx) })
	}
	if a.stranded != nil {
		j.aside(&j.asking, func() {
			if j.EtcdAnswers(ctx) {
				j.deps.Fatal(a.stranded)
			}
		})
	}
}

// aside runs a task in the background.
func (j *Journal) aside(busy *atomic.Bool, task func()) {
	busy.Store(true)
	j.deps.Go(func() {
		task()
		busy.Store(false)
	})
}

// writerEnded ends this agent when its journal took an end that was not decided here:
// its members refuse it, since a recoverer fenced them.
func (j *Journal) writerEnded() {
	err := j.writer.Err()
	if errors.Is(err, wal.ErrFenced) {
		err = fmt.Errorf("%w: %w", err, ErrReplaced)
	}
	if !j.sealing.Load() {
		j.deps.Fatal(err)
	}
}

// Replaced returns an error if others have sealed the journal that is written here.
func (j *Journal) Replaced() error { return j.look().replaced(j.deps.Incarnation) }

// askPatience bounds the question whether etcd is there.
const askPatience = time.Second

// EtcdAnswers reports whether etcd can be asked: what the view tells of the others is only
// worth something then, and without etcd no other incarnation could begin.
func (j *Journal) EtcdAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	_, err := j.deps.Meta.Get(ctx, schema.AgentKey(j.deps.Self))
	return err == nil
}
