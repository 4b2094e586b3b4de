package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"varve/coordinator"
	"varve/health"
	"varve/internal/id"
	"varve/metadata"
)

// inspector gathers what package health judges: this agent's own state, and what the
// other agents say of theirs.
type inspector struct {
	a      *Agent
	places *places
	// settled: the partitions of this agent's former self have found a leader, or took too
	// long for a start to be about them.
	settled atomic.Bool
	// opening is since when partitions that this agent owns are closed, in ms since 1970; 0:
	// none is.
	opening atomic.Int64
	began   atomic.Int64 // when the agent began to serve, in ms since 1970
}

func newInspector(a *Agent) *inspector { return &inspector{a: a, places: newPlaces(a.process)} }

const (
	// askAgentFor bounds what one agent may take to tell of itself: one that hangs costs
	// that much.
	askAgentFor = time.Second
	// askEtcdFor is less, so that an agent without etcd can still tell.
	askEtcdFor = 400 * time.Millisecond
	// settleFor is how long a start waits for the partitions of its former self.
	settleFor = 15 * time.Second
	// openFor is how long a partition that comes to an agent which serves may take to be
	// opened before the agent counts as not ready for it.
	openFor = 2 * time.Second
)

// What agents ask of each other, see replica.Node.Tell.
const (
	tellReport uint32 = iota + 1
	tellEnds
)

// tell answers another agent.
func (i *inspector) tell(ctx context.Context, what uint32) ([]byte, error) {
	switch what {
	case tellReport:
		return json.Marshal(i.report(ctx))
	case tellEnds:
		return encodeEnds(i.a.owned.All()), nil
	}
	return nil, fmt.Errorf("this agent doesn't know what %d is", what)
}

func (i *inspector) names() names { return names{i.a.view} }

// notReady lists why this agent doesn't serve what it owns.
func (i *inspector) notReady() []string {
	self := health.Self{Starting: i.starting()}
	if self.Starting == "" {
		i.fill(&self)
	}
	return self.NotReady()
}

// starting reports what a start is about; "" once it is over.
func (i *inspector) starting() string {
	if i.a.hasStarted() {
		return ""
	}
	if at := i.a.awaits.Load(); at != nil {
		return "the agent is starting: it is about " + *at
	}
	return "the agent is starting"
}

func (i *inspector) fill(s *health.Self) {
	a := i.a
	s.Stopping = a.reg.leaving.Load()
	select {
	case <-a.reg.lease().Lost():
		s.SessionLost = true
	default:
	}
	s.FirstBucket = i.places.never()
	s.Opening, s.Recovering = i.unopened()
	if list := reasons(i.unserved()); len(list) > 0 {
		s.Unserved, s.Opening = list[0], max(s.Opening, len(list))
	}
	s.Full, s.JournalFull = a.store.Room().Full, a.store.Pressure() >= 1
}

// noteOpening is told at each look at the cluster whether something is to be opened.
func (i *inspector) noteOpening(closed bool, now time.Time) {
	if !closed {
		i.opening.Store(0)
	} else {
		i.opening.CompareAndSwap(0, now.UnixMilli())
	}
	if i.began.Load() != 0 && !i.settled.Load() {
		i.unopened()
	}
}

// unopened counts the partitions that this agent owns and doesn't serve, and, after a
// start, those that its former self owned and nobody has yet.
func (i *inspector) unopened() (opening, recovering int) {
	a, starts := i.a, !i.settled.Load()
	for p, o := range a.view.Owners() {
		if _, exists := a.view.TopicByID(p.Topic); !exists || o.Broker != a.self {
			continue
		}
		switch {
		case o.Incarnation == a.inc && a.owned.Get(p) == nil:
			opening++
		case o.Incarnation != a.inc && starts:
			recovering++
		}
	}
	late := a.millis()-i.began.Load() > settleFor.Milliseconds()
	if recovering == 0 && opening == 0 || late {
		i.settled.Store(true)
		recovering = 0
	}
	if since := i.opening.Load(); !starts && (since == 0 || a.millis()-since < openFor.Milliseconds()) {
		opening = 0
	}
	return opening, recovering
}

// report is what this agent says of itself.
func (i *inspector) report(ctx context.Context) *health.Report {
	a := i.a
	r := &health.Report{Broker: int32(a.self), Incarnation: uint64(a.inc), Version: a.deps.Version, Now: a.deps.Now(), Starting: i.starting()}
	r.Disk = i.disk()
	r.Bucket, r.Etcd, r.Clocks = i.places.bucket(), i.etcd(ctx), i.places.clocks()
	if r.Starting != "" {
		return r
	}
	r.NotReady = i.notReady()
	r.Partitions = a.owned.Len()
	bytes, oldest := a.tier.upload.Waiting()
	r.UntieredBytes, r.OldestUntieredMs = bytes, oldest.Milliseconds()
	r.JournalBytes, r.JournalPressure = a.store.Untrimmed(), a.store.Pressure()
	r.Journals = i.memberLags()
	for j, why := range a.election.control.Waiting() {
		r.Waiting = append(r.Waiting, health.Reason{What: j.String(), Why: why})
	}
	r.Waiting, r.Unserved = reasons(r.Waiting), reasons(i.unserved())
	rules := i.places.rules()
	r.BucketDanger, r.BucketCost = rules.Danger(), rules.Cost()
	holes := a.tier.Holes()
	r.HoleCount = len(holes)
	for _, h := range holes[:min(len(holes), reasonsShown)] {
		r.Holes = append(r.Holes, i.names().hole(h.HoleError, h.Since))
	}
	for _, k := range a.tier.upload.Stuck() {
		r.Stuck = append(r.Stuck, health.Reason{What: i.names().partition(k.Partition), Why: k.Err.Error()})
	}
	r.Stuck = r.Stuck[:min(len(r.Stuck), reasonsShown)]
	r.Notes = r.Remarks()
	return r
}

// etcd asks whether it answers.
func (i *inspector) etcd(ctx context.Context) health.Place {
	ctx, cancel := context.WithTimeout(ctx, askEtcdFor)
	defer cancel()
	_, err := i.a.deps.Meta.Get(ctx, metadata.AgentKey(i.a.self))
	return i.places.etcdAnswered(err)
}

func (i *inspector) disk() health.Disk {
	r := i.a.store.Room()
	return health.Disk{FreeBytes: r.Free, TotalBytes: r.Total, ReserveBytes: i.a.cfg.Journal.ReserveBytes, Low: r.Low, Full: r.Full}
}

func (i *inspector) memberLags() map[string][]health.MemberLag {
	out := map[string][]health.MemberLag{}
	for j, members := range i.a.near.peers.AllMembers() {
		for _, m := range members {
			l := health.MemberLag{Store: m.Store.String(), Own: m.Own, Durable: m.Durable, LagEntries: m.LagEntries, LagBytes: m.LagBytes, Connected: m.Own || !m.Connected.IsZero(), Behind: m.Behind}
			if m.Err != nil {
				l.Error = m.Err.Error()
			}
			out[j.String()] = append(out[j.String()], l)
		}
	}
	return out
}

func (i *inspector) unserved() (list []health.Reason) {
	for p, why := range i.a.unserved.All() {
		list = append(list, health.Reason{What: i.names().partition(p), Why: why})
	}
	return list
}

// reasons puts a list in order, and bounds it.
func reasons(list []health.Reason) []health.Reason {
	slices.SortFunc(list, func(x, y health.Reason) int { return cmp.Compare(x.What, y.What) })
	return list[:min(len(list), reasonsShown)]
}

// snapshot asks all live agents for their reports, at the same time.
func (i *inspector) snapshot(ctx context.Context) *health.Snapshot {
	a := i.a
	s := &health.Snapshot{Now: a.deps.Now(), Cluster: a.id, AskedAgent: a.self, Agents: i.agents(), Factor: a.cfg.Replication.Factor, MaxAge: a.cfg.Upload.MaxAge, SlotsFree: coordinator.Slots,
		Leaderless: i.leaderless()}
	for _, t := range a.view.Topics() {
		s.Partitions += int(t.Partitions)
	}
	for _, o := range a.view.Slots() {
		if a.view.Alive(o.Incarnation, o.Broker) {
			s.SlotsFree--
		}
	}
	i.journals(s)
	i.leads(s)
	var wg sync.WaitGroup
	for n := range s.Agents {
		x := &s.Agents[n]
		x.Live = x.Live || x.Broker == a.self // it answers, whatever became of its session
		if x.Live {
			wg.Go(func() { i.ask(ctx, x) })
		}
	}
	wg.Go(func() { i.tiered(ctx, s) })
	wg.Wait()
	return s
}

// agents are those that are alive, and those that are remembered.
func (i *inspector) agents() []health.Agent {
	a := i.a
	drained, members := a.view.Drained(), a.view.Members()
	by := map[id.Broker]health.Agent{}
	for b, m := range members {
		x := health.Agent{Broker: b, Host: m.Host(), HTTP: m.HTTP, Registered: m.Registered, Stopped: m.Leaving, Drained: drained[b]}
		if len(m.Stores) > 0 {
			x.Store = m.Stores[0].Store
		}
		by[b] = x
	}
	for _, l := range a.view.Agents() {
		x := by[l.Broker]
		x.Broker, x.Host, x.HTTP, x.Store, x.Live, x.Leaving, x.Drained = l.Broker, l.Host(), l.HTTP, l.Store, true, l.Leaving, drained[l.Broker]
		by[l.Broker] = x
	}
	out := make([]health.Agent, 0, len(by))
	for _, x := range by {
		out = append(out, x)
	}
	slices.SortFunc(out, func(x, y health.Agent) int { return cmp.Compare(x.Broker, y.Broker) })
	return out
}

func (i *inspector) ask(ctx context.Context, x *health.Agent) {
	a := i.a
	ctx, cancel := context.WithTimeout(ctx, askAgentFor)
	defer cancel()
	if x.Broker == a.self {
		x.Report = i.report(ctx)
		return
	}
	if l, ok := a.view.Store(x.Store); ok && l.Peer == "" {
		return // it can't be asked
	}
	b, err := a.near.peers.Tell(ctx, x.Store, tellReport)
	if err == nil {
		x.Report = new(health.Report)
		err = json.Unmarshal(b, x.Report)
	}
	if err != nil {
		x.Report, x.Problem = nil, err.Error()
		if ctx.Err() != nil {
			x.Problem = fmt.Sprintf("no answer within %v", askAgentFor)
		}
	}
}

// leads counts what each live agent leads.
func (i *inspector) leads(s *health.Snapshot) {
	v, by := i.a.view, map[id.Incarnation]int{}
	for p, o := range v.Owners() {
		if _, exists := v.TopicByID(p.Topic); exists {
			by[o.Incarnation]++
		}
	}
	for n := range s.Agents {
		if l, live := v.Agent(s.Agents[n].Broker); live {
			s.Agents[n].Leads = by[l.Incarnation]
		}
	}
}

// tiered finds the time of the newest record in the bucket of the partitions that dead
// agents' journals are about, as far as etcd tells in time.
func (i *inspector) tiered(ctx context.Context, s *health.Snapshot) {
	if !i.a.hasStarted() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askEtcdFor)
	defer cancel()
	for n := range s.Journals {
		x := &s.Journals[n]
		if x.State != health.Dead {
			continue
		}
		c, err := i.a.election.control.LossCost(ctx, x.ID)
		if err == nil && c.TieredMs >= 0 {
			x.Tiered = time.UnixMilli(c.TieredMs)
		}
	}
}

func (i *inspector) journals(s *health.Snapshot) {
	a := i.a
	s.Stores = map[id.Store]health.StoreAt{}
	for j, rec := range a.view.Journals() {
		x := health.Journal{ID: j, Broker: rec.Broker, State: health.Open, Quorum: int(rec.Quorum), End: rec.End, Ensemble: rec.Ensemble, Holders: rec.Holders}
		switch {
		case rec.State == metadata.JournalSealed:
			x.State = health.Sealed
		case !a.view.Alive(j.Writer, rec.Broker):
			x.State = health.Dead
		}
		s.Journals = append(s.Journals, x)
		for _, store := range rec.Keepers() {
			if home, known := a.view.StoreHome(store); known {
				_, live := a.view.Store(store)
				s.Stores[store] = health.StoreAt{Broker: home.Broker, Host: home.Host, Live: live, Gone: a.view.Moved(store)}
			}
		}
	}
	slices.SortFunc(s.Journals, func(x, y health.Journal) int {
		return x.ID.Compare(y.ID)
	})
}

// leaderless counts the partitions of the cluster without a live leader.
func (i *inspector) leaderless() (n int) {
	for _, t := range i.a.view.Topics() {
		for index := range t.Partitions {
			if _, ok := i.a.view.Owner(id.Partition{Topic: t.ID, Index: index}); !ok {
				n++
			}
		}
	}
	return n
}
