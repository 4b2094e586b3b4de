package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
)

// grace is the agents' lease in these tests.
const grace = 3 * time.Second

// member is a store as its peers see it.
type member struct {
	incarnation id.Incarnation
	down        error // why it doesn't answer; context.DeadlineExceeded: it is silent
	hidden      bool  // it answers to its peers, not to the controller
	journals    map[id.Journal]*kept
	copyFails   error
}

// kept is what a store holds of a journal.
type kept struct {
	last, fence uint64
}

// stores are all stores of a cluster, a Peers for everybody.
type stores struct {
	mu   *sync.Mutex // guards by and all members
	by   map[id.Store]*member
	step func(what string) error // before every call; nil: goes on
}

func (f *stores) call(ctx context.Context, what string, s id.Store) (*member, error) {
	if f.step != nil {
		if err := f.step(what); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	m := f.by[s]
	down := errors.New("its address is not known")
	if m != nil {
		down = m.down
	}
	f.mu.Unlock()
	if errors.Is(down, context.DeadlineExceeded) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m, down
}

func (f *stores) Ping(ctx context.Context, s id.Store) (id.Incarnation, error) {
	f.mu.Lock()
	m := f.by[s]
	hidden := m != nil && m.hidden
	f.mu.Unlock()
	if hidden {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return f.ping(ctx, s)
}

func (f *stores) Probe(ctx context.Context, via, s id.Store) (id.Incarnation, error) {
	if _, err := f.call(ctx, "probe", via); err != nil {
		return 0, err
	}
	return f.ping(ctx, s)
}

func (f *stores) ping(ctx context.Context, s id.Store) (id.Incarnation, error) {
	m, err := f.call(ctx, "ping", s)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return m.incarnation, nil
}

func (f *stores) Fence(ctx context.Context, s id.Store, j id.Journal, epoch uint64) (uint64, error) {
	m, err := f.call(ctx, "fence", s)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k := m.journals[j]
	if k == nil {
		return 0, wal.ErrUnknown
	}
	if epoch < k.fence {
		return 0, wal.ErrFenced
	}
	k.fence = epoch
	return k.last, nil
}

func (f *stores) Copy(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, upTo uint64) error {
	a, err := f.call(ctx, "copy", from)
	if err != nil {
		return err
	}
	b, err := f.call(ctx, "copied", to)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case b.copyFails != nil:
		return b.copyFails
	case a.journals[j] == nil || a.journals[j].last < upTo:
		return fmt.Errorf("store %v lacks entry %d", from, upTo)
	case b.journals[j].fence != epoch:
		return wal.ErrFenced
	}
	b.journals[j].last = max(b.journals[j].last, upTo)
	return nil
}

func (f *stores) Recruit(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, upTo uint64) error {
	m, err := f.call(ctx, "recruit", to)
	if err != nil {
		return err
	}
	f.mu.Lock()
	if m.journals[j] == nil {
		m.journals[j] = new(kept)
	}
	m.journals[j].fence = epoch
	f.mu.Unlock()
	return f.Copy(ctx, j, epoch, from, to, upTo)
}

// world is a cluster without agents: what controllers see of them.
type world struct {
	t      *testing.T
	ctx    context.Context
	meta   *metadata.Memory
	store  *metadata.MemoryStore
	peers  *stores
	view   *cluster.View // the test's own
	editor *cluster.Editor
	lease  map[id.Broker]metadata.Session
}

// inWorld runs a test in fake time.
func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w := &world{t: t, ctx: ctx, meta: metadata.NewMemory(), peers: &stores{mu: new(sync.Mutex), by: map[id.Store]*member{}}, lease: map[id.Broker]metadata.Session{}}
		w.store = w.meta.Open()
		w.view = cluster.NewView(w.store, slog.New(slog.DiscardHandler))
		w.editor = cluster.NewEditor(w.view, w.store, nil)
		go w.view.Run(ctx)
		<-w.view.Ready()
		t.Cleanup(func() {
			cancel()
			w.store.Close()
			synctest.Wait()
		})
		f(w)
	})
}

func storeOf(b id.Broker) id.Store { return id.Store{0: byte(b)} }

func journalOf(i id.Incarnation) id.Journal { return id.Journal{Writer: i, Seq: 1} }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// txn stores something, and returns when all views show it.
func (w *world) txn(ops ...metadata.Op) {
	w.t.Helper()
	_, err := w.store.Txn(w.ctx, nil, ops...)
	w.must(err)
	synctest.Wait()
}

// join registers an agent whose incarnation opens a journal that some brokers keep.
func (w *world) join(b id.Broker, i id.Incarnation, q int, keepers ...id.Broker) {
	w.t.Helper()
	w.register(b, i)
	j := journalOf(i)
	rec := schema.Journal{State: schema.JournalOpen, Broker: b, Quorum: uint8(q)}
	w.set(func() {
		for _, k := range keepers {
			rec.Ensemble = append(rec.Ensemble, storeOf(k))
			w.member(k).journals[j] = new(kept)
		}
		w.member(b).incarnation = i
	})
	w.txn(metadata.Put(schema.JournalKey(j), rec.Encode()))
}

// set changes members; everything that reads or writes them does it so.
func (w *world) set(change func()) {
	w.peers.mu.Lock()
	defer w.peers.mu.Unlock()
	change()
}

// holdings is what a broker's store holds of an incarnation's journal.
func (w *world) holdings(b id.Broker, i id.Incarnation) (k kept) {
	w.set(func() { k = *w.member(b).journals[journalOf(i)] })
	return k
}

func (w *world) member(b id.Broker) *member {
	m := w.peers.by[storeOf(b)]
	if m == nil {
		m = &member{journals: map[id.Journal]*kept{}}
		w.peers.by[storeOf(b)] = m
	}
	return m
}

func (w *world) register(b id.Broker, i id.Incarnation) {
	w.t.Helper()
	s, err := w.store.Session(w.ctx, grace)
	w.must(err)
	w.lease[b] = s
	w.txn(metadata.PutLeased(schema.AgentKey(b), schema.Agent{Incarnation: i, Store: storeOf(b)}.Encode(), s.Lease()))
	w.within(time.Second, "the agent is seen", func() bool { return w.view.Alive(i, b) })
}

// leaves marks an agent as told to stop.
func (w *world) leaves(b id.Broker, i id.Incarnation) {
	a := schema.Agent{Incarnation: i, Store: storeOf(b), Leaving: true}
	w.txn(metadata.PutLeased(schema.AgentKey(b), a.Encode(), w.lease[b].Lease()))
}

// lapse ends an agent's session; the agent may live.
func (w *world) lapse(b id.Broker) {
	w.t.Helper()
	w.meta.Expire(w.lease[b].Lease())
	w.within(time.Second, "the session's end is seen", func() bool {
		a, live := w.view.Agent(b)
		return !live || a.Lease != w.lease[b].Lease()
	})
}

// kill ends an agent's process and session.
func (w *world) kill(b id.Broker) {
	w.set(func() { w.member(b).down = syscall.ECONNREFUSED })
	w.lapse(b)
}

// topic makes a topic, all of whose partitions an incarnation owns; none if zero.
func (w *world) topic(n byte, partitions int32, i id.Incarnation, b id.Broker) id.Topic {
	w.t.Helper()
	t := schema.Topic{ID: id.Topic{n}, Partitions: partitions, Created: time.Now()}
	w.txn(metadata.Put(schema.TopicKey(fmt.Sprint("t", n)), t.Encode()))
	for index := range partitions {
		if i != 0 {
			w.own(id.Partition{Topic: t.ID, Index: index}, i, b)
		}
	}
	return t.ID
}

func (w *world) own(p id.Partition, i id.Incarnation, b id.Broker) {
	h := new(schema.Head)
	h.Give(i, b)
	w.txn(schema.StoredHead{Partition: p}.Ops(h)...)
}

func (w *world) head(p id.Partition) *schema.Head {
	w.t.Helper()
	stored, err := schema.GetHead(w.ctx, w.store, p)
	w.must(err)
	return stored.Head
}

func (w *world) journal(i id.Incarnation) schema.Journal {
	w.t.Helper()
	kv, err := w.store.Get(w.ctx, schema.JournalKey(journalOf(i)))
	w.must(err)
	rec, err := schema.DecodeJournal(kv.Value)
	w.must(err)
	return rec
}

// running is a controller that runs.
type running struct {
	*Controller
	w       *world
	meta    *crashing
	heads   *metadata.Writer
	session metadata.Session
	cancel  context.CancelFunc
	ended   chan struct{}
	once    sync.Once
}

// crashing is a metadata store that can be made useless, as for a dead process.
type crashing struct {
	metadata.Store
	step func(what string) error
	mu   sync.Mutex
	dead bool
}

func (s *crashing) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	if err := s.try("before a write"); err != nil {
		return 0, err
	}
	rev, err := s.Store.Txn(ctx, guards, ops...)
	if late := s.try("after a write"); late != nil {
		return 0, late
	}
	return rev, err
}

func (s *crashing) try(what string) error {
	s.mu.Lock()
	dead := s.dead
	s.mu.Unlock()
	if dead {
		return metadata.ErrClosed
	}
	if s.step != nil {
		return s.step(what)
	}
	return nil
}

func (s *crashing) crash() {
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
}

// control starts the candidate of an agent; step, if not nil, is called around each
// of its writes and calls to peers, and may end them.
func (w *world) control(b id.Broker, i id.Incarnation, step func(string) error) *running {
	w.t.Helper()
	r, ctx := w.controller(b, i, step)
	go func() {
		r.Run(ctx)
		close(r.ended)
	}()
	return r
}

// controller makes what control starts. It hasn't stood for election yet.
func (w *world) controller(b id.Broker, i id.Incarnation, step func(string) error) (*running, context.Context) {
	w.t.Helper()
	session, err := w.store.Session(w.ctx, grace)
	w.must(err)
	peers := &stores{mu: w.peers.mu, by: w.peers.by, step: step}
	r := &running{w: w, meta: &crashing{Store: w.store, step: step}, session: session, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(w.ctx)
	r.cancel = cancel
	log := slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	r.heads = metadata.NewWriter(r.meta, metadata.DefaultWriterConfig(), log, nil)
	view := cluster.NewView(w.store, log)
	go view.Run(ctx)
	<-view.Ready()
	r.Controller = New(Deps{Self: b, Incarnation: i, View: view, Editor: cluster.NewEditor(view, r.meta, nil), Store: r.meta, Writer: r.heads, Lease: session.Lease, Peers: peers, Slots: 8, Grace: grace, Log: log})
	w.t.Cleanup(r.stop)
	return r, ctx
}

// crash ends a controller as a kill does, and its session.
func (r *running) crash() {
	r.once.Do(func() {
		r.meta.crash()
		r.cancel()
		r.w.meta.Expire(r.session.Lease())
	})
}

// stop ends a controller in order.
func (r *running) stop() {
	r.cancel()
	<-r.ended
	r.tasks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.heads.Close(ctx)   // after a crash it can't
	_ = r.session.Close(ctx) // it may have expired
}

// within waits until ok, and returns how long that took.
func (w *world) within(limit time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			w.t.Fatalf("%s: not within %v", what, limit)
		}
		time.Sleep(time.Millisecond) // fake time
	}
	return time.Since(began)
}

// holds fails the test if ok does not hold for a while.
func (w *world) holds(d time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for began := time.Now(); time.Since(began) < d; time.Sleep(50 * time.Millisecond) { // fake time
		if !ok() {
			w.t.Fatalf("%s: no more after %v", what, time.Since(began))
		}
	}
}

// served reports whether live agents own all partitions of a topic.
func (w *world) served(t id.Topic, partitions int32) bool {
	for i := range partitions {
		if _, ok := w.view.Owner(id.Partition{Topic: t, Index: i}); !ok {
			return false
		}
	}
	return true
}

// owns counts partitions by owner.
func (w *world) owns(t id.Topic, partitions int32) map[id.Broker]int {
	n := map[id.Broker]int{}
	for i := range partitions {
		if o, ok := w.view.Owner(id.Partition{Topic: t, Index: i}); ok {
			n[o.Broker]++
		}
	}
	return n
}

// three agents keep each other's journals, as incarnations 11, 12 and 13.
func (w *world) three() {
	w.join(1, 11, 2, 1, 2, 3)
	w.join(2, 12, 2, 2, 3, 1)
	w.join(3, 13, 2, 3, 1, 2)
}

// wrote returns what the members hold of an incarnation's journal.
func (w *world) wrote(i id.Incarnation, last map[id.Broker]uint64) {
	w.set(func() {
		for b, n := range last {
			w.member(b).journals[journalOf(i)].last = n
		}
	})
}

func sorted[K ~int32](m map[K]int) []int {
	var out []int
	for _, n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func clusterOwner(i id.Incarnation, b id.Broker) cluster.Owner {
	return cluster.Owner{Incarnation: i, Broker: b}
}
