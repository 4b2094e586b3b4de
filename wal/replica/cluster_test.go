package replica

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/wal"
)

// network connects the agents of a test in memory. A cut agent can't be reached and
// its connections are reset; a stalled one neither sends nor receives.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	conns     map[*cable]bool
	cut       map[string]bool
	stalled   map[string]chan struct{}
}

func newNetwork() *network {
	return &network{listeners: map[string]*listener{}, conns: map[*cable]bool{}, cut: map[string]bool{}, stalled: map[string]chan struct{}{}}
}

type listener struct {
	n      *network
	addr   string
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *listener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.addr, Net: "unix"} }

// cable is one end of a connection.
type cable struct {
	net.Conn
	n      *network
	ends   [2]string
	closed chan struct{}
	once   sync.Once
}

func (w *cable) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

func (w *cable) Write(b []byte) (int, error) {
	for {
		w.n.mu.Lock()
		wait := w.n.stalled[w.ends[0]]
		if wait == nil {
			wait = w.n.stalled[w.ends[1]]
		}
		w.n.mu.Unlock()
		if wait == nil {
			return w.Conn.Write(b)
		}
		select {
		case <-wait:
		case <-w.closed:
			return 0, net.ErrClosed
		}
	}
}

func (n *network) listen(addr string) *listener {
	l := &listener{n: n, addr: addr, accept: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	n.listeners[addr] = l
	n.mu.Unlock()
	return l
}

func (n *network) dial(ctx context.Context, from, to string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[to]
	refused := l == nil || n.cut[from] || n.cut[to]
	n.mu.Unlock()
	if refused {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	ends := [2]string{from, to}
	near, far := &cable{Conn: a, n: n, ends: ends, closed: make(chan struct{})}, &cable{Conn: b, n: n, ends: ends, closed: make(chan struct{})}
	n.mu.Lock()
	n.conns[near] = true
	n.mu.Unlock()
	select {
	case l.accept <- far:
		return near, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reset breaks an agent's connections.
func (n *network) reset(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.conns {
		if w.ends[0] == addr || w.ends[1] == addr {
			w.Close()
			delete(n.conns, w)
		}
	}
}

func (n *network) setCut(addr string, is bool) {
	n.mu.Lock()
	n.cut[addr] = is
	n.mu.Unlock()
	if is {
		n.reset(addr)
	}
}

func (n *network) stall(addr string) (resume func()) {
	c := make(chan struct{})
	n.mu.Lock()
	n.stalled[addr] = c
	n.mu.Unlock()
	return func() {
		n.mu.Lock()
		delete(n.stalled, addr)
		n.mu.Unlock()
		close(c)
	}
}

// agent is one store with its node.
type agent struct {
	c     *cluster
	inc   id.Incarnation
	disk  *vfs.Memory
	store *wal.Store
	node  *Node
	addr  string
	lost  chan id.Store
	died  chan error
	stop  context.CancelFunc
	done  sync.WaitGroup
}

type cluster struct {
	t   testing.TB
	net *network
	mu  sync.Mutex
	at  map[id.Store]string
	cfg wal.Config
	rep Config
	all []*agent
	inc id.Incarnation
	log slog.Handler
	// real, if not nil, returns an agent's listener and dialer, instead of those in memory.
	real func(addr string) (net.Listener, func(ctx context.Context, to string) (net.Conn, error))
}

func newCluster(t testing.TB, agents int) *cluster {
	c := &cluster{t: t, net: newNetwork(), at: map[id.Store]string{}, cfg: wal.DefaultConfig(), rep: DefaultConfig(), log: slog.DiscardHandler}
	c.cfg.Dir, c.cfg.FileBytes, c.cfg.ChunkBytes, c.cfg.CacheBytes = "j", 256<<10, 64<<10, 512<<10
	c.cfg.KeepBytes, c.cfg.SoftBytes, c.cfg.HardBytes, c.cfg.ReserveBytes = 0, 1<<20, 1<<40, 0
	c.rep.IntakeBytes, c.rep.SendBytes = 64<<10, 32<<10
	for i := range agents {
		c.all = append(c.all, c.start(fmt.Sprintf("agent-%d", i), vfs.NewMemory()))
	}
	t.Cleanup(func() {
		for _, a := range c.all {
			a.close()
		}
	})
	return c
}

// start starts an incarnation on a disk.
func (c *cluster) start(addr string, disk *vfs.Memory) *agent {
	c.t.Helper()
	c.inc++
	a := &agent{c: c, inc: c.inc, disk: disk, addr: addr, lost: make(chan id.Store, 10000), died: make(chan error, 100)}
	var err error
	log := slog.New(c.log)
	var l net.Listener
	dial := func(ctx context.Context, to string) (net.Conn, error) { return c.net.dial(ctx, addr, to) }
	if c.real != nil {
		l, dial = c.real(addr)
		addr = l.Addr().String()
		a.addr = addr
	} else {
		l = c.net.listen(addr)
	}
	a.store, err = wal.Open(c.cfg, wal.Options{FS: disk, Log: log, Fatal: func(err error) { a.died <- err }})
	if err != nil {
		c.t.Fatal(err)
	}
	a.node, err = Open(c.rep, Deps{Store: a.store, Cluster: "test", Incarnation: a.inc, Log: log,
		Dial: dial,
		Resolve: func(s id.Store) (string, bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			at, ok := c.at[s]
			return at, ok
		},
		Lost: func(s id.Store, _ error) { a.lost <- s }})
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.at[a.store.ID()] = addr
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	a.done.Go(func() {
		if err := a.node.Serve(ctx, l); err != nil {
			c.t.Error(err)
		}
	})
	return a
}

func (a *agent) id() id.Store { return a.store.ID() }

func (a *agent) close() {
	if a.stop == nil {
		return
	}
	a.stop()
	a.node.Close()
	a.done.Wait()
	a.store.Close()
	a.stop = nil
}

// crash is a loss of power: the agent's connections end, and what was not synced to its disk
// may be gone. It returns the next incarnation.
func (a *agent) crash(r *rand.Rand) *agent {
	a.c.t.Helper()
	a.c.net.setCut(a.addr, true) // before: what it says later must not count
	disk := a.disk.Crash(r)
	a.close()
	a.c.net.setCut(a.addr, false)
	b := a.c.start(a.addr, disk)
	for i := range a.c.all {
		if a.c.all[i] == a {
			a.c.all[i] = b
		}
	}
	return b
}

func (c *cluster) ids(agents ...*agent) (ids []id.Store) {
	for _, a := range agents {
		ids = append(ids, a.id())
	}
	return ids
}

// load appends to a writer and records what owners are told: each is called once, in order.
type load struct {
	t      testing.TB
	mu     sync.Mutex
	next   int64
	failed int64
	faults []string
	places map[int64]place
	sizes  map[int64]int
	n      sync.WaitGroup
	sent   int64
	random *rand.Rand
}

type place struct {
	j   id.Journal
	pos wal.Pos
	num uint64
}

type owner struct {
	l    *load
	base int64
}

func newLoad(t testing.TB) *load {
	return &load{t: t, places: map[int64]place{}, sizes: map[int64]int{}, random: rand.New(rand.NewPCG(1, 1))}
}

func (o owner) Committed(j id.Journal, pos wal.Pos, num uint64) {
	l := o.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.base != l.next || l.failed > 0 {
		l.faults = append(l.faults, fmt.Sprintf("append %d told after %d, %d failed", o.base, l.next-1, l.failed))
	}
	l.next = o.base + 1
	l.places[o.base] = place{j, pos, num}
	l.n.Done()
}

func (o owner) Failed(error) {
	o.l.mu.Lock()
	o.l.failed++
	o.l.mu.Unlock()
	o.l.n.Done()
}

func (l *load) acked() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

var sums = crc32.MakeTable(crc32.Castagnoli)

func body(n int64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(n) + byte(i)
	}
	binary.BigEndian.PutUint64(b, uint64(n))
	return b
}

func (l *load) add(ctx context.Context, w *wal.Writer, size int) error {
	n := l.sent
	b := body(n, size)
	rec := wal.Record{Base: n, Count: 1, BodyCRC: crc32.Checksum(b[wal.BodySumFrom:], sums), ProducerID: -1}
	l.mu.Lock()
	l.sizes[n] = size
	l.mu.Unlock()
	l.n.Add(1)
	for {
		room := w.Room()
		err := w.Append(&rec, b, owner{l, n})
		if err == nil {
			l.sent++
			return nil
		}
		if wal.IsBusy(err) {
			err = w.Wait(ctx, room)
		}
		if err != nil {
			l.n.Done()
			return err
		}
	}
}

// store appends a number of bodies. It returns after their owners were told, and after
// Committed returns the last of them.
func (l *load) store(w *wal.Writer, n int) {
	l.t.Helper()
	l.many(w, n)
	l.n.Wait()
	l.mu.Lock()
	last, told := l.places[l.sent-1]
	l.mu.Unlock()
	for told && w.ID() == last.j && w.Committed() < last.num && w.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

// many appends a number of bodies.
func (l *load) many(w *wal.Writer, n int) {
	l.t.Helper()
	for range n {
		if err := l.add(l.t.Context(), w, 30+l.random.IntN(9000)); err != nil {
			l.t.Fatal(err)
		}
	}
}

// check reports owners that were called twice or out of order.
func (l *load) check() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.faults {
		l.t.Error(f)
	}
}

// held reads a store's copy of a journal up to entry end, checks that it holds the
// appends from first on without a gap, and returns the next.
func (l *load) held(a *agent, j id.Journal, end uint64, first int64) int64 {
	l.t.Helper()
	next := first
	err := a.store.Entries(j, func(e *wal.Entry) error {
		if e.Number > end {
			return nil
		}
		for i := range e.Records {
			rec := &e.Records[i]
			got := make([]byte, rec.Size)
			if err := a.store.ReadAt(j, got, e.Place(rec)); err != nil {
				return err
			}
			if rec.Base != next {
				return fmt.Errorf("append %d where %d should be", rec.Base, next)
			}
			if want := body(next, int(rec.Size)); !bytes.Equal(got, want) {
				return fmt.Errorf("append %d of entry %d at %v differs: %x, %x", next, e.Number, e.Place(rec), got[:20], want[:20])
			}
			l.mu.Lock()
			p, told := l.places[next]
			l.mu.Unlock()
			if told && p.j == j && p.pos != e.Place(rec) {
				return fmt.Errorf("append %d is at %v, its owner was told %v", next, e.Place(rec), p.pos)
			}
			next++
		}
		return nil
	})
	if err != nil {
		l.t.Fatalf("%s: %v", a.addr, err)
	}
	return next
}
