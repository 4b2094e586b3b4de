package broker

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// connections counts open connections and knows them all.
type connections struct {
	max, perIP int
	mu         struct {
		sync.Mutex
		open map[*conn]string // with its address
		byIP map[string]int
	}
	done sync.WaitGroup
}

func newConnections(cfg Config) *connections {
	cs := &connections{max: cfg.MaxConnections, perIP: cfg.MaxConnectionsPerIP}
	cs.mu.open, cs.mu.byIP = map[*conn]string{}, map[string]int{}
	return cs
}

// add admits a connection if there is room.
func (cs *connections) add(c *conn) bool {
	ip := c.caller.host
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.mu.open) >= cs.max || cs.mu.byIP[ip] >= cs.perIP {
		return false
	}
	cs.mu.open[c] = ip
	cs.mu.byIP[ip]++
	cs.done.Add(1)
	return true
}

func (cs *connections) remove(c *conn) {
	cs.mu.Lock()
	ip := cs.mu.open[c]
	delete(cs.mu.open, c)
	if cs.mu.byIP[ip]--; cs.mu.byIP[ip] == 0 {
		delete(cs.mu.byIP, ip)
	}
	cs.mu.Unlock()
	cs.done.Done()
}

func (cs *connections) closeAll() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.mu.open {
		c.nc.Close()
		select {
		case <-c.gone:
		default:
			close(c.gone)
		}
	}
}

// Serve accepts connections of the named listener until ctx ends; then it closes
// the listener, lets the connections finish what they began, and returns.
func (b *Broker) Serve(ctx context.Context, name string, l net.Listener) error {
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
			b.log.Warn("connection not accepted", "listener", name, "err", err)
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			continue
		}
		wait = 0
		b.accept(ctx, name, nc)
	}
}

func (b *Broker) accept(ctx context.Context, name string, nc net.Conn) {
	c := newConn(b, nc, newCaller(nc, name))
	if !b.conns.add(c) {
		b.metrics.refused.Inc()
		if unsaid, ok := b.refusedClients.say(c.caller.host, time.Now()); ok {
			b.log.Warn("connection refused: too many connections", "listener", name, "client", c.caller.addr, "not_logged", unsaid)
		}
		nc.Close()
		return
	}
	b.metrics.conns.Inc()
	go func() {
		defer b.conns.remove(c)
		defer b.metrics.conns.Dec()
		c.run(ctx)
	}()
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
