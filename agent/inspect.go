package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"varve/cluster"
	"varve/controller"
	"varve/coordinator"
	"varve/health"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/owner"
	"varve/wal"
	"varve/wal/replica"
)

// inspector gathers what package health judges: the state of this agent, which has started,
// and what the other agents report of theirs.
type inspector struct {
	*process
	*member
	places  *places
	store   *wal.Store
	owned   *owner.Set
	noted   *owner.Unserved
	tier    *tier
	peers   *replica.Node
	control *controller.Controller
	ready   *readiness
}

const (
	// askAgentFor bounds what one agent may take to tell of itself: one that hangs costs
	// that much.
	askAgentFor = time.Second
	// askEtcdFor is less, so that an agent without etcd can still tell.
	askEtcdFor = 400 * time.Millisecond
)

func (i *inspector) names() names { return names{i.view} }

// notReady lists why this agent doesn't serve what it owns.
func (i *inspector) notReady() []string {
	var self health.Self
	i.fill(&self)
	return self.NotReady()
}

func (i *inspector) fill(s *health.Self) {
	s.Stopping = i.reg.leaving.Load()
	select {
	case <-i.reg.lease().Lost():
		s.SessionLost = true
	default:
	}
	s.FirstBucket = i.places.never()
	s.Opening, s.Recovering = i.ready.unopened()
	if list := reasons(i.unserved()); len(list) > 0 {
		s.Unserved, s.Opening = list[0], max(s.Opening, len(list))
	}
	s.Full, s.JournalFull = i.store.Room().Full, i.store.Pressure() >= 1
}

// newReport begins what this agent reports of itself with what it knows during a start, too.
func newReport(ctx context.Context, p *process, m *member, at *places, store *wal.Store) *health.Report {
	r := &health.Report{Broker: int32(p.self), Incarnation: uint64(m.inc), Version: p.deps.Version, Now: p.deps.Now()}
	r.Disk = diskOf(p, store)
	r.Bucket, r.Etcd, r.Clocks = at.bucket(), askEtcd(ctx, p, at), at.clocks()
	return r
}

// report returns what this agent reports of itself.
func (i *inspector) report(ctx context.Context) *health.Report {
	r := newReport(ctx, i.process, i.member, i.places, i.store)
	i.complete(r)
	return r
}

// complete adds to a report what only an agent that has started knows.
func (i *inspector) complete(r *health.Report) {
	r.NotReady = i.notReady()
	r.Partitions = i.owned.Len()
	bytes, oldest := i.tier.upload.Waiting()
	r.UntieredBytes, r.OldestUntieredMs = bytes, oldest.Milliseconds()
	r.JournalBytes, r.JournalPressure = i.store.Untrimmed(), i.store.Pressure()
	r.Journals = i.memberLags()
	for j, why := range i.control.Waiting() {
		r.Waiting = append(r.Waiting, health.Reason{What: j.String(), Why: why})
	}
	unserved := i.unserved()
	r.Opening = max(0, i.ready.closed()-len(unserved))
	r.Waiting, r.Unserved = reasons(r.Waiting), reasons(unserved)
	rules := i.places.rules()
	r.BucketDanger, r.BucketCost = rules.Danger(), rules.Cost()
	holes := i.tier.Holes()
	r.HoleCount = len(holes)
	for _, h := range holes[:min(len(holes), reasonsShown)] {
		r.Holes = append(r.Holes, i.names().hole(h.HoleError, h.Since))
	}
	for _, k := range i.tier.upload.Stuck() {
		r.Stuck = append(r.Stuck, health.Reason{What: i.names().partition(k.Partition), Why: k.Err.Error()})
	}
	r.Stuck = r.Stuck[:min(len(r.Stuck), reasonsShown)]
	r.Notes = r.Remarks()
}

// askEtcd asks whether etcd answers.
func askEtcd(ctx context.Context, p *process, at *places) health.Place {
	ctx, cancel := context.WithTimeout(ctx, askEtcdFor)
	defer cancel()
	_, err := p.deps.Meta.Get(ctx, schema.AgentKey(p.self))
	return at.etcdAnswered(err)
}

func diskOf(p *process, store *wal.Store) health.Disk {
	r := store.Room()
	return health.Disk{FreeBytes: r.Free, TotalBytes: r.Total, ReserveBytes: p.cfg.Journal.ReserveBytes, Low: r.Low, Full: r.Full}
}

func (i *inspector) memberLags() map[string][]health.MemberLag {
	out := map[string][]health.MemberLag{}
	for j, members := range i.peers.AllMembers() {
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
	for p, why := range i.noted.All() {
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
	s := &health.Snapshot{Now: i.deps.Now(), Cluster: i.id, AskedAgent: i.self, Agents: i.agents(), Factor: i.cfg.Replication.Factor, MaxAge: i.cfg.Upload.MaxAge, SlotsFree: coordinator.Slots,
		Leaderless: withoutLeader(i.view)}
	for _, t := range i.view.Topics() {
		s.Partitions += int(t.Partitions)
	}
	for _, o := range i.view.Slots() {
		if i.view.Alive(o.Incarnation, o.Broker) {
			s.SlotsFree--
		}
	}
	i.journals(s)
	i.leads(s)
	var wg sync.WaitGroup
	for n := range s.Agents {
		x := &s.Agents[n]
		x.Live = x.Live || x.Broker == i.self // it answers, whatever became of its session
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
	drained, members := i.view.Drained(), i.view.Members()
	by := map[id.Broker]health.Agent{}
	for b, m := range members {
		x := health.Agent{Broker: b, Host: m.Host(), HTTP: m.HTTP, Registered: m.Registered, Stopped: m.Leaving, Drained: drained[b]}
		if len(m.Stores) > 0 {
			x.Store = m.Stores[0].Store
		}
		by[b] = x
	}
	for _, l := range i.view.Agents() {
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
	ctx, cancel := context.WithTimeout(ctx, askAgentFor)
	defer cancel()
	if x.Broker == i.self {
		x.Report = i.report(ctx)
		return
	}
	if l, ok := i.view.Store(x.Store); ok && l.Peer == "" {
		return // it can't be asked
	}
	b, err := i.peers.Tell(ctx, x.Store, tellReport)
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
	v, by := i.view, map[id.Incarnation]int{}
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
	ctx, cancel := context.WithTimeout(ctx, askEtcdFor)
	defer cancel()
	for n := range s.Journals {
		x := &s.Journals[n]
		if x.State != health.Dead {
			continue
		}
		c, err := i.control.LossCost(ctx, x.ID)
		if err == nil && c.TieredMs >= 0 {
			x.Tiered = time.UnixMilli(c.TieredMs)
		}
	}
}

func (i *inspector) journals(s *health.Snapshot) {
	s.Stores = map[id.Store]health.StoreAt{}
	for j, rec := range i.view.Journals() {
		x := health.Journal{ID: j, Broker: rec.Broker, State: health.Open, Quorum: int(rec.Quorum), End: rec.End, Ensemble: rec.Ensemble, Holders: rec.Holders}
		switch {
		case rec.State == schema.JournalSealed:
			x.State = health.Sealed
		case !i.view.Alive(j.Writer, rec.Broker):
			x.State = health.Dead
		}
		s.Journals = append(s.Journals, x)
		for _, store := range rec.Keepers() {
			if home, known := i.view.StoreHome(store); known {
				_, live := i.view.Store(store)
				s.Stores[store] = health.StoreAt{Broker: home.Broker, Host: home.Host, Live: live, Gone: i.view.Moved(store)}
			}
		}
	}
	slices.SortFunc(s.Journals, func(x, y health.Journal) int {
		return x.ID.Compare(y.ID)
	})
}

// withoutLeader counts the partitions of the cluster without a live leader.
func withoutLeader(v *cluster.View) (n int) {
	for _, t := range v.Topics() {
		for index := range t.Partitions {
			if _, ok := v.Owner(id.Partition{Topic: t.ID, Index: index}); !ok {
				n++
			}
		}
	}
	return n
}
