package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/agent"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata/schema"
	"varve/s3store"
)

// host is a machine that runs one agent, again and again.
type host struct {
	w  *world
	at node

	mu    sync.Mutex
	life  *life // nil: it is down
	disk  *vfs.Memory
	store id.Store // of the agent that registered last
}

// life is one run of an agent.
type life struct {
	h      *host
	g      *gate
	disk   *disk
	meta   *meta
	reach  *reach
	agent  *agent.Agent
	stop   context.CancelFunc
	ended  chan struct{}
	err    error
	bucket bucketFaults
}

func (h *host) String() string { return fmt.Sprintf("agent %d", h.at) }

func (h *host) now() *life {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.life
}

// start begins a life.
func (h *host) start() {
	w := h.w
	g := new(gate)
	l := &life{h: h, g: g, reach: newReach(w.away > 0), ended: make(chan struct{})}
	l.disk = &disk{Memory: h.disk, g: g, random: w.source(), stall: 2 * time.Millisecond}
	l.meta = &meta{handle: w.meta.Open(), g: g, random: w.source(), book: w.book}
	l.meta.Store = l.meta.handle
	l.bucket = bucketFaults{g: g, random: w.source(), w: w}
	drift := 1 + (w.random.Float64()-0.5)/50 // by up to 1 %
	ahead := time.Duration(w.random.Int64N(int64(20*time.Second))) - 10*time.Second
	booted := time.Now()
	writeSecret(h.disk)
	a, err := agent.New(w.config(h.at), agent.Deps{
		FS: l.disk, Meta: l.meta, Objects: s3store.WithFaults(w.bucket, l.bucket.fault), Log: slog.New(&logs{w.log, h.at}), Registry: prometheus.NewRegistry(),
		Listen:  func(_, addr string) (net.Listener, error) { return w.net.listen(h.at, g, addr) },
		Dial:    func(ctx context.Context, addr string) (net.Conn, error) { return w.net.dial(ctx, h.at, g, addr) },
		Now:     func() time.Time { return booted.Add(ahead + time.Duration(float64(time.Since(booted))*drift)) },
		Random:  newBytes(w.random.Uint64()),
		Version: "sim",
		Levels:  w.upgrade.levels(h),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	l.agent = a
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	h.mu.Lock()
	h.life = l
	h.mu.Unlock()
	w.running.Go(func() {
		defer close(l.ended)
		l.err = a.Run(ctx)
		_ = l.meta.Close()
		stop()
		w.log.add("%v ended: %v", h, l.err)
		w.upgrade.ended(h, l.err)
	})
	w.running.Go(func() {
		select {
		case <-a.Started():
			w.log.add("%v serves", h)
			h.register(l)
		case <-l.ended:
		}
	})
}

// secretFile has the secret of delegation tokens, on each agent's disk.
const secretFile = "secret"

func writeSecret(disk *vfs.Memory) {
	f, err := disk.Open(secretFile, vfs.Create)
	if err != nil {
		return // it is there
	}
	if _, err := f.WriteAt([]byte("the secret of all agents"), 0); err != nil {
		panic(err)
	}
	_ = f.Close()
}

// setConnected cuts an agent off from etcd, or connects it again when all that cut it off is over.
func (l *life) setConnected(yes bool) {
	l.reach.set(yes)
	l.meta.connect(yes)
}

// register notes on which store the host's agent runs, if it is still that one: the
// disk may have been lost since.
func (h *host) register(l *life) {
	m := h.w.meta.Open()
	defer m.Close()
	if kv, err := m.Get(context.Background(), schema.AgentKey(id.Broker(h.at))); err == nil {
		if a, err := schema.DecodeAgent(kv.Value); err == nil {
			h.mu.Lock()
			if h.life == l {
				h.store = a.Store
			}
			h.mu.Unlock()
		}
	}
}

// storeID is the store that the host's agent had when it last registered; zero: it
// never did on this disk.
func (h *host) storeID() id.Store {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.store
}

// wipe replaces the disk of a host that is down.
func (h *host) wipe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disk, h.store = newDisk(), id.Store{}
}

// kill ends the process, and with dark the host's power. What was not synced may be
// lost in both cases.
func (h *host) kill(dark bool) {
	l := h.now()
	if l == nil {
		return
	}
	h.w.net.reset(h.at, dark) // first: what it says from now on must not count
	l.g.mu.Lock()
	l.g.gone = true // before the disk is looked at
	l.g.mu.Unlock()
	h.mu.Lock()
	h.disk = h.disk.Crash(h.w.random)
	h.life = nil
	h.mu.Unlock()
	l.g.release()
	h.w.running.Go(func() {
		l.stop()
		_ = l.meta.Close()
	})
}

// boot starts the agent again if the host is down.
func (h *host) boot() {
	if h.now() != nil {
		return
	}
	h.w.net.lighten(h.at)
	h.start()
}

// retire ends the agent in order and waits; false: it didn't end in time.
func (h *host) retire(patience time.Duration) bool {
	l := h.now()
	if l == nil {
		return true
	}
	l.stop()
	select {
	case <-l.ended:
	case <-time.After(patience):
		return false
	}
	h.mu.Lock()
	if h.life == l {
		h.life = nil
		h.disk = h.disk.Crash(h.w.random) // also releases what the process held
	}
	h.mu.Unlock()
	return true
}

// revive is what a service manager does: an agent that ended by itself is started
// again.
func (h *host) revive() {
	l := h.now()
	if l == nil || h.w.upgrade.keptBack(h) {
		return
	}
	select {
	case <-l.ended:
	default:
		return
	}
	if l.err != nil && !agent.IsReplaced(l.err) && !errors.Is(l.err, context.Canceled) {
		h.w.log.add("%v: an unusual end: %v", h, l.err)
	}
	h.mu.Lock()
	h.life = nil
	h.disk = h.disk.Crash(h.w.random)
	h.mu.Unlock()
	h.w.net.reset(h.at, false)
	h.start()
}
