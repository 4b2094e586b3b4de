// Package controller decides which agent serves what. One agent at a time is the
// controller: it recovers the journals of agents that died, gives their partitions
// and coordinator slots to agents that live, and lets etcd forget what no one needs.
//
// It promises that each of its steps is one guarded write that may be repeated, so
// that it may die between any two, and that a second controller beside it does no
// harm. It moves no data, and nothing trusts it: replicas fence, and owners' writes
// are guarded.
package controller

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Peers are the stores of the cluster, this agent's own among them
// (replica.Node).
type Peers interface {
	// Ping asks the agent that has a store for its incarnation.
	Ping(ctx context.Context, s id.Store) (id.Incarnation, error)
	// Probe asks the agent that has the store via for what Ping finds at store s from
	// there. It answers before pingPatience is over.
	Probe(ctx context.Context, via, s id.Store) (id.Incarnation, error)
	// Fence makes durable at a store that epoch fenced the journal, and returns the
	// number of its last entry.
	Fence(ctx context.Context, s id.Store, j id.Journal, epoch uint64) (last uint64, err error)
	// Copy brings a store that is fenced at epoch up to entry upTo.
	Copy(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, upTo uint64) error
	// Recruit is Copy to a store outside the ensemble, which joins for that.
	Recruit(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, upTo uint64) error
}

// Writer stores many guarded writes at once (metadata.Writer).
type Writer interface {
	Write(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error)
}

// Deps is what a Controller works with.
type Deps struct {
	Self        id.Broker
	Incarnation id.Incarnation
	View        *cluster.View
	Editor      *cluster.Editor
	Store       metadata.Store
	Writer      Writer
	// Lease is the agent's present session; the controller's key goes with it.
	Lease func() metadata.Lease
	Peers Peers
	// Slots is how many coordinator slots there are.
	Slots int
	// Grace is how long an agent that no one knows how to reach counts as alive.
	Grace    time.Duration
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: no metrics
}

// Controller is one agent's candidate.
type Controller struct {
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	tasks   sync.WaitGroup
	forgot  time.Time             // when journals were last looked through; control's own
	quiet   quiet                 // control's own
	unowned map[id.Partition]bool // that have data and no known owner, as was logged; control's own

	mu struct {
		sync.Mutex
		active     bool
		suspects   map[id.Incarnation]*suspect
		recovering map[id.Journal]bool
		waiting    map[id.Journal]waiting // those that aren't recovered yet
		busy       map[string]bool        // background work by name; true: asked for again
	}
}

// New makes a candidate; Run runs it.
func New(d Deps) *Controller {
	c := &Controller{deps: d, log: d.Log}
	c.metrics = newMetrics(d.Registry, c)
	c.mu.suspects = map[id.Incarnation]*suspect{}
	c.mu.recovering = map[id.Journal]bool{}
	c.mu.waiting = map[id.Journal]waiting{}
	c.mu.busy = map[string]bool{}
	return c
}

// retryEvery is how often what failed or waits is looked at again.
const retryEvery = 500 * time.Millisecond

// writesAtOnce bounds the writes to etcd of one kind that are under way.
const writesAtOnce = 1024

// Run stands for election, and controls while elected, until ctx ends.
func (c *Controller) Run(ctx context.Context) {
	defer c.resign()
	defer c.tasks.Wait()
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for ctx.Err() == nil {
		changed := c.deps.View.Changed()
		active := c.elected(ctx)
		c.setActive(active)
		if active {
			c.control(ctx)
		}
		select {
		case <-changed:
		case <-retry.C:
		case <-ctx.Done():
		}
	}
}

// elected reports whether this agent is the controller, trying to become it if no one
// is.
func (c *Controller) elected(ctx context.Context) bool {
	held := c.deps.View.Controller()
	if held.Incarnation != 0 || ctx.Err() != nil {
		return held.Incarnation == c.deps.Incarnation
	}
	if !c.deps.View.Alive(c.deps.Incarnation, c.deps.Self) {
		return false // an agent that isn't registered can't be the controller
	}
	me := schema.Role{Incarnation: c.deps.Incarnation, Broker: c.deps.Self}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	rev, err := c.deps.Store.Txn(ctx, []metadata.Guard{{Key: schema.KeyController}}, metadata.PutLeased(schema.KeyController, me.Encode(), c.deps.Lease()))
	if err != nil {
		if !errors.Is(err, metadata.ErrConflict) {
			c.log.Debug("not elected", "err", err)
		}
		return false
	}
	return c.deps.View.Await(ctx, schema.KeyController, rev) == nil
}

// resign lets someone else control while this agent still has things to finish.
func (c *Controller) resign() {
	held := c.deps.View.Controller()
	if held.Incarnation != c.deps.Incarnation {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := c.deps.Store.Txn(ctx, []metadata.Guard{{Key: schema.KeyController, Mod: held.Mod}}, metadata.Delete(schema.KeyController))
	if err != nil {
		c.log.Debug("controller's key not deleted, it expires with the session", "err", err)
	}
}

// background does something unless it is under way; then again afterwards.
func (c *Controller) background(name string, do func()) {
	c.mu.Lock()
	_, busy := c.mu.busy[name]
	c.mu.busy[name] = busy
	c.mu.Unlock()
	if busy {
		return
	}
	c.tasks.Go(func() {
		do()
		c.mu.Lock()
		again := c.mu.busy[name]
		delete(c.mu.busy, name)
		c.mu.Unlock()
		if again {
			c.deps.View.Touch()
		}
	})
}

func (c *Controller) setActive(active bool) {
	c.mu.Lock()
	was := c.mu.active
	c.mu.active = active
	if !active {
		clear(c.mu.suspects)
		clear(c.mu.waiting)
	}
	c.mu.Unlock()
	if active != was {
		c.log.Info("controller", "active", active)
	}
}

// control takes every step that the present picture calls for.
func (c *Controller) control(ctx context.Context) {
	p := c.picture()
	c.quiet.look(p)
	c.forgetWaiting(p)
	live := incarnations(p.live)
	for _, j := range p.ordered() {
		if rec := p.journals[j]; rec.State != schema.JournalSealed && c.dead(ctx, p, j.Writer, rec.Broker) {
			c.beginRecovery(ctx, j, rec, live)
		}
	}
	c.assignPartitions(ctx, p)
	c.assignSlots(ctx, p)
	c.dropMoves(ctx, p)
	c.balance(ctx, p)
	c.forgetJournals(ctx, p)
	c.forgetSuspects(p)
}

// picture is the cluster as it is seen in one pass.
type picture struct {
	live     []cluster.Live
	agents   []cluster.Live // that may be given something: they have an open journal, stay, and aren't drained
	journals map[id.Journal]cluster.Journal
	unsealed map[id.Incarnation]bool
	owners   map[id.Partition]cluster.Owner
	owned    cluster.OwnerCounts
	topics   []*cluster.Topic
	deleted  map[id.Topic]schema.DeletedTopic
	moves    map[id.Partition]cluster.Move
	drained  map[id.Broker]bool
}

func pictureOf(v *cluster.View) *picture {
	p := &picture{live: v.Agents(), journals: v.Journals(), unsealed: map[id.Incarnation]bool{}, topics: v.Topics(), deleted: v.Deleted(),
		moves: v.Moves(), drained: v.Drained()}
	p.owners, p.owned = v.OwnersCounted()
	open := map[id.Incarnation]bool{}
	for j, rec := range p.journals {
		if rec.State != schema.JournalSealed {
			p.unsealed[j.Writer] = true
		}
		if rec.State == schema.JournalOpen {
			open[j.Writer] = true
		}
	}
	var spare []cluster.Live
	for _, a := range p.live {
		switch {
		case a.Leaving || !open[a.Incarnation]:
		case p.drained[a.Broker]:
			spare = append(spare, a)
		default:
			p.agents = append(p.agents, a)
		}
	}
	if len(p.agents) == 0 {
		p.agents = spare // better one that was to own nothing than none
	}
	return p
}

func (c *Controller) picture() *picture { return pictureOf(c.deps.View) }

// alive reports whether an owner has a session.
func (p *picture) alive(i id.Incarnation, b id.Broker) bool {
	return i != 0 && slices.ContainsFunc(p.live, func(a cluster.Live) bool { return a.Broker == b && a.Incarnation == i })
}

// ordered lists the journals in order, so that the same picture leads to the same
// steps.
func (p *picture) ordered() []id.Journal {
	return slices.SortedFunc(maps.Keys(p.journals), id.Journal.Compare)
}

// Waiting returns which journals wait to be recovered, and for what; empty if this
// agent isn't the controller.
func (c *Controller) Waiting() map[id.Journal]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[id.Journal]string, len(c.mu.waiting))
	for j, w := range c.mu.waiting {
		out[j] = w.why
	}
	return out
}

// Active reports whether this agent is the controller.
func (c *Controller) Active() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.active
}
