package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/auth/principal"
)

// Listener is what clients of an address are asked for.
type Listener struct {
	Name       string
	TLS        *tls.Config     // nil: plaintext
	Rules      principal.Rules // that make names of the subjects of certificates
	Mechanisms []string        // of SASL; none: it isn't asked for
	MaxReauth  time.Duration   // how long a client stays authenticated by SASL; 0: for ever
	Most       int             // connections at a time; 0: no bound of its own
}

// connections counts open connections and knows them all.
type connections struct {
	max, perIP int
	overrides  map[string]int // perIP of some addresses
	most       int            // connections that are not authenticated
	waiting    prometheus.Gauge
	mu         struct {
		sync.Mutex
		open    map[*conn]*opened
		byIP    map[string]int
		by      map[*Listener]int
		queue   *strangers // that are not authenticated
		ending  int        // open ones that had to make room
		delayed int        // refused ones that are closed later
	}
	done sync.WaitGroup
}

// opened is what is known of an open connection.
type opened struct {
	ip     string
	queued *stranger // nil: authenticated, or making room
	ending bool
}

func newConnections(cfg Config) *connections {
	cs := &connections{max: cfg.MaxConnections, perIP: cfg.MaxConnectionsPerIP, most: max(1, cfg.MaxConnections/2)}
	cs.overrides, _ = cfg.perIPOverrides() // Validate has checked them
	cs.mu.open, cs.mu.byIP, cs.mu.by, cs.mu.queue = map[*conn]*opened{}, map[string]int{}, map[*Listener]int{}, newStrangers()
	return cs
}

// add admits a connection if there is room. One that isn't authenticated may have to make
// room.
func (cs *connections) add(c *conn) bool {
	ip := c.caller.host
	cs.mu.Lock()
	defer cs.mu.Unlock()
	most := cs.perIP
	if n, ok := cs.overrides[ip]; ok {
		most = n
	}
	if cs.mu.byIP[ip] >= most || c.listener != nil && c.listener.Most > 0 && cs.mu.by[c.listener] >= c.listener.Most {
		return false
	}
	if len(cs.mu.open)-cs.mu.ending >= cs.max && !cs.makeRoom() {
		return false
	}
	o := &opened{ip: ip}
	if c.proves {
		if cs.mu.queue.count >= cs.most {
			cs.makeRoom()
		}
		o.queued = cs.mu.queue.add(c)
		cs.showWaiting()
	}
	cs.mu.open[c] = o
	cs.mu.byIP[ip]++
	cs.mu.by[c.listener]++
	cs.done.Add(1)
	return true
}

// makeRoom ends a connection that isn't authenticated, if there is one. The lock is held.
func (cs *connections) makeRoom() bool {
	next := cs.mu.queue.next()
	if next == nil {
		return false
	}
	cs.mu.queue.remove(next)
	c := next.c
	o := cs.mu.open[c]
	o.queued, o.ending = nil, true
	cs.mu.ending++
	cs.showWaiting()
	c.cut(errRoom)
	return true
}

// authenticated notes that a connection may stay.
func (cs *connections) authenticated(c *conn) {
	c.settle()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if o := cs.mu.open[c]; o != nil && o.queued != nil {
		cs.mu.queue.remove(o.queued)
		o.queued = nil
		cs.showWaiting()
	}
}

// showWaiting keeps the gauge. The lock is held.
func (cs *connections) showWaiting() {
	if cs.waiting != nil {
		cs.waiting.Set(float64(cs.mu.queue.count))
	}
}

func (cs *connections) remove(c *conn) {
	cs.mu.Lock()
	o := cs.mu.open[c]
	delete(cs.mu.open, c)
	if cs.mu.byIP[o.ip]--; cs.mu.byIP[o.ip] == 0 {
		delete(cs.mu.byIP, o.ip)
	}
	if cs.mu.by[c.listener]--; cs.mu.by[c.listener] == 0 {
		delete(cs.mu.by, c.listener)
	}
	if o.queued != nil {
		cs.mu.queue.remove(o.queued)
		cs.showWaiting()
	}
	if o.ending {
		cs.mu.ending--
	}
	cs.mu.Unlock()
	cs.done.Done()
}

func (cs *connections) closeAll() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.mu.open {
		c.cut(net.ErrClosed)
		select {
		case <-c.gone:
		default:
			close(c.gone)
		}
	}
}

// Serve accepts connections of a listener until ctx ends; then it closes
// the listener, lets the connections finish what they began, and returns.
func (b *Broker) Serve(ctx context.Context, asks *Listener, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wait time.Duration
	for {
		nc, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			wait = min(time.Second, 2*wait+5*time.Millisecond)
			b.log.Warn("connection not accepted", "listener", asks.Name, "err", err)
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			continue
		}
		wait = 0
		b.accept(ctx, asks, nc)
	}
}

func (b *Broker) accept(ctx context.Context, asks *Listener, nc net.Conn) {
	who := newCaller(nc, asks.Name)
	if wait := b.quotas.connects(who.host); wait > 0 {
		b.refuse(who, "connection refused: too many new connections from its address (connection_creation_rate)")
		b.conns.closeLater(ctx, nc, wait)
		return
	}
	c := newConn(b, nc, who, asks)
	ctx, c.end = context.WithCancel(ctx)
	if !b.conns.add(c) {
		c.end()
		b.refuse(who, "connection refused: too many connections")
		nc.Close()
		return
	}
	c.limit(b.cfg.RequestTimeout)
	b.metrics.conns.Inc()
	go func() {
		defer b.conns.remove(c)
		defer b.metrics.conns.Dec()
		defer c.end()
		c.run(ctx)
	}()
}

// refuse counts and logs that a connection isn't served.
func (b *Broker) refuse(who *caller, why string) {
	b.metrics.refused.Inc()
	if unsaid, ok := b.refusedClients.say(network(who.host), why+" "+who.listener, time.Now()); ok {
		b.log.Warn(why, "listener", who.listener, "client", who.addr, "not_logged", unsaid)
	}
}

// delayedMost is how many refused connections are open, so that their clients don't try again
// at once. Further ones are closed at once.
const delayedMost = 1000

// closeLater closes a connection that is refused after a while.
func (cs *connections) closeLater(ctx context.Context, nc net.Conn, wait time.Duration) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.mu.delayed >= delayedMost {
		nc.Close()
		return
	}
	cs.mu.delayed++
	cs.done.Go(func() {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		nc.Close()
		cs.mu.Lock()
		defer cs.mu.Unlock()
		cs.mu.delayed--
	})
}

// Drain waits for the connections to end, after the context of Serve ended; what
// is left when ctx ends is cut off.
func (b *Broker) Drain(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		b.conns.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		b.conns.closeAll()
		<-ended
	}
}
