package group

import (
	"fmt"
	"time"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
	"varve/metadata/schema"
)

// Group is one group: a coordinator.Machine of its membership and its offsets. It does no I/O
// and reads no clock. Only one goroutine may use it at a time.
type Group struct {
	id        string
	cfg       *Config
	out       coordinator.Effects // of the present Step
	members   *classic.Membership
	offsets   *offsets.Offsets
	record    record
	retention time.Time // the next look at expired offsets; Invariant: set if the group is there
	away      bool      // the store doesn't answer
}

// New makes a group that is not there; a first Join or Commit makes it be there.
// cfg must stay as it is.
func New(id string, cfg *Config) *Group {
	g := &Group{id: id, cfg: cfg}
	g.forget()
	return g
}

// forget brings the group to where it is not there.
func (g *Group) forget() {
	g.record = record{cfg: g.cfg, out: &g.out}
	g.members = classic.New(&g.cfg.Members, &g.out, &g.record)
	g.members.StoreAway(g.away)
	g.offsets = offsets.New(&g.cfg.Offsets)
	g.retention = time.Time{}
}

// Load makes a group of what the store holds; rec is nil if there is no record.
// Its first event must be Loaded.
func Load(id string, cfg *Config, rec *schema.Group, stored map[offsets.Shard]schema.Offsets) *Group {
	g := New(id, cfg)
	if rec == nil && len(stored) == 0 {
		return g
	}
	g.offsets = offsets.Load(&cfg.Offsets, stored)
	g.members = classic.Load(&cfg.Members, &g.out, &g.record, rec)
	g.record.kept = rec != nil
	return g
}

// Step applies an event and returns what is to be done, in order.
func (g *Group) Step(now time.Time, e coordinator.Event) []coordinator.Effect {
	g.out.Begin(now)
	switch e := e.(type) {
	case Commit:
		g.commit(e)
	case DeleteOffsets:
		g.deleteOffsets(e)
	case Delete:
		g.delete(e)
	case Settle:
		g.settle(e)
	case TopicsDeleted:
		g.topicsDeleted(e)
	case coordinator.Tick:
		g.tick()
	case coordinator.Loaded:
		g.loaded()
	case coordinator.Stored:
		g.stored()
	case coordinator.StoreAway:
		g.away = e.Away
		g.members.StoreAway(e.Away)
	case coordinator.Resign:
		g.members.Resign(e.Err)
		g.record.waits.fail(e.Err)
		return g.out.All()
	default:
		if !g.members.Step(e) {
			panic(fmt.Sprintf("group: %T is no event of a group", e))
		}
	}
	if g.retention.IsZero() && g.members.There() {
		g.retention = now.Add(g.cfg.RetentionCheck)
	}
	g.flush()
	if g.away {
		g.record.waits.fail(coordinator.ErrAway)
	}
	return g.out.All()
}

// tick runs what is due, in order of time.
func (g *Group) tick() {
	for {
		switch first := g.Wake(); {
		case first.IsZero() || first.After(g.out.Now):
			return
		case first.Equal(g.record.waits.next()):
			g.record.waits.over(g.out.Now)
		case first.Equal(g.members.Next()):
			g.members.Tick()
		default:
			g.retain()
		}
	}
}

// loaded starts the clocks of a group that was loaded.
func (g *Group) loaded() {
	if !g.members.There() {
		return
	}
	g.retention = g.out.Now.Add(g.cfg.RetentionCheck)
	g.members.Loaded()
	if due := g.Expiry(); g.members.State() == classic.Empty && !due.IsZero() && due.Before(g.retention) {
		g.retention = due
	}
}
