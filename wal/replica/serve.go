package replica

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"varve/internal/backoff"
	"varve/internal/id"
)

// server lets other agents in: those that ask this store something, and those that send it
// their journals.
type server struct {
	endpoint *endpoint
	tasks    *tasks
	local    *local

	mu struct {
		sync.Mutex
		streams map[id.Journal]*conn // that this store follows
		conns   int
		warned  time.Time // when a refusal was last logged
	}
}

func newServer(e *endpoint, t *tasks, l *local) *server {
	s := &server{endpoint: e, tasks: t, local: l}
	s.mu.streams = map[id.Journal]*conn{}
	return s
}

// memory is Node.Memory.
func (s *server) memory() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.mu.streams)) * 2 * s.endpoint.cfg.IntakeBytes
}

// serve lets other agents in until ctx ends or the listener fails. It closes the
// listener.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	stopped := context.AfterFunc(s.endpoint.ctx, func() { l.Close() })
	defer stopped()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || s.endpoint.ctx.Err() != nil {
				return nil
			}
			if temporary(err) && backoff.Sleep(ctx, s.endpoint.cfg.RetryMin) == nil {
				continue
			}
			return fmt.Errorf("accept for replication: %w", err)
		}
		if !s.enter() {
			s.endpoint.metrics.refused.WithLabelValues("too_many").Inc()
			c.Close()
			continue
		}
		serves := s.tasks.run(func() {
			defer s.leave()
			s.admit(c)
		})
		if !serves {
			s.leave()
			c.Close()
		}
	}
}

// temporary reports whether another Accept may work: the process has no file to spare.
func temporary(err error) bool {
	t, ok := err.(interface{ Temporary() bool })
	return ok && t.Temporary()
}

func (s *server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.conns >= s.endpoint.cfg.MaxConnections {
		return false
	}
	s.mu.conns++
	return true
}

func (s *server) leave() {
	s.mu.Lock()
	s.mu.conns--
	s.mu.Unlock()
}

// admit serves a connection whose TLS handshake, if it is TLS, succeeds.
func (s *server) admit(c net.Conn) {
	if err := s.handshake(c); err != nil {
		c.Close()
		s.endpoint.metrics.refused.WithLabelValues("tls").Inc()
		if s.endpoint.ctx.Err() == nil && s.warnsNow() {
			s.endpoint.deps.Log.Warn("connection from another agent refused: TLS handshake failed", "from", c.RemoteAddr(), "err", err)
		}
		return
	}
	s.connection(newConn(c, s.endpoint.metrics))
}

// warnsNow reports whether another refusal may be logged: a caller that tries again and again
// must not fill the log.
func (s *server) warnsNow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.mu.warned) < warnEvery {
		return false
	}
	s.mu.warned = time.Now()
	return true
}

const warnEvery = 5 * time.Second

// connection handles one connection to its end.
func (s *server) connection(c *conn) {
	defer c.Close()
	stop := c.until(s.endpoint.ctx)
	defer stop()
	var f *following
	h, err := s.greet(c, func(h *hello) (durable uint64, err error) {
		if h.purpose == purposeStream {
			f, err = s.follow(c, h)
			if err == nil {
				durable = f.f.Durable()
			}
		}
		return durable, err
	})
	if err != nil {
		if f != nil {
			f.leave()
		}
		s.endpoint.metrics.refused.WithLabelValues("hello").Inc()
		s.endpoint.deps.Log.Debug("replication connection refused", "from", c.RemoteAddr(), "err", err)
		return
	}
	if f == nil {
		s.answerCalls(c, &h)
		return
	}
	f.run()
}

// handshake accepts those that have a certificate. Everything but TLS passes.
func (s *server) handshake(c net.Conn) error {
	t, ok := c.(interface{ HandshakeContext(context.Context) error })
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.endpoint.ctx, s.endpoint.cfg.Silence)
	defer cancel()
	return t.HandshakeContext(ctx)
}

// greet answers a caller's hello with the verdict of admit.
func (s *server) greet(c *conn, admit func(*hello) (durable uint64, err error)) (h hello, err error) {
	b, err := c.expect(kindHello, s.endpoint.cfg.Silence)
	if err != nil {
		return h, err
	}
	w := welcome{store: s.endpoint.own, incarnation: s.endpoint.deps.Incarnation, broker: s.endpoint.deps.Broker}
	if h, err = decodeHello(b); err != nil {
		return h, err // not one of us: no answer
	}
	switch {
	case h.cluster != s.endpoint.deps.Cluster:
		w.err = fmt.Errorf("this is a process of another cluster: %w", ErrOtherStore)
	case h.to != s.endpoint.own:
		w.err = fmt.Errorf("this is store %v: %w", s.endpoint.own, ErrOtherStore)
	default:
		s.endpoint.countPlain(c)
		w.durable, w.err = admit(&h)
	}
	if err := c.send(kindHello, w.encode()); err != nil {
		return h, err
	}
	return h, w.err
}

// answerCalls serves a call connection until it ends.
func (s *server) answerCalls(c *conn, h *hello) {
	var at session
	for {
		k, b, err := c.control(idleServer)
		var q request
		if err == nil {
			q, err = decodeRequest(k, b)
		}
		if err != nil {
			if !ended(err) {
				s.endpoint.deps.Log.Debug("call connection ended", "store", h.from, "err", err)
			}
			return
		}
		result, err := s.local.do(s.endpoint.ctx, &at, &q)
		if err != nil {
			result = nil
		}
		if err := c.send(kindAnswer, append(appendError(nil, err), result...)); err != nil {
			return
		}
	}
}
