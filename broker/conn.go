package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/kafka"
)

// conn is one client's connection: a goroutine that reads and works, and one
// that writes the answers in the order of the requests.
type conn struct {
	b        *Broker
	nc       net.Conn
	caller   *caller // of the frame being worked on
	out      chan *response
	wake     chan struct{} // an answer became ready
	gone     chan struct{} // closed when nobody is to be answered any more
	fetching chan struct{} // holds one token: an answer with records may be made
	buf      []byte        // the frame being worked on, reused where that is safe
}

// pipelined is how many answers of one connection may be outstanding.
const pipelined = 256

// keepFrame is the largest frame buffer that a connection keeps.
const keepFrame = 1 << 20

// request is a frame that was taken apart.
type request struct {
	kafka.RequestHeader
	body    kafka.RequestBody
	api     *api
	caller  *caller
	arrived time.Time
}

// response is an answer in its place in the queue.
type response struct {
	frame [][]byte // pieces to be written; empty is no answer
	ready atomic.Bool
	// release, if not nil, is called when the pieces are written or given up.
	release func()
	// expire, if not nil, is called when the deadline passes before it is ready, and
	// must make it ready.
	expire   func()
	deadline time.Time
	close    bool // the connection ends with this answer
	req      *request
}

// finish makes a response ready. Only the first call counts.
func (c *conn) finish(r *response) {
	if r.ready.CompareAndSwap(false, true) {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (c *conn) run(ctx context.Context) {
	c.out = make(chan *response, pipelined)
	c.wake = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { c.nc.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	written := make(chan struct{})
	var lost error // why nothing more could be written
	go func() {
		defer close(written)
		lost = c.write()
		cancel()
		for r := range c.out { // nobody reads these answers
			if r.release != nil && r.ready.Load() {
				r.release()
			}
		}
	}()
	err := c.read(ctx)
	close(c.out)
	<-written
	cancel()
	c.nc.Close()
	c.note(lost)
	c.note(err)
}

// note logs why a connection ended, unless the client just left.
func (c *conn) note(err error) {
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled):
	case errors.Is(err, kafka.ErrFrame) || errors.Is(err, errSlow):
		c.b.metrics.badConns.Inc()
		if unsaid, ok := c.b.badClients.say(c.caller.host, time.Now()); ok {
			c.b.log.Warn("connection closed", "client", c.caller.addr, "client_id", c.caller.clientID, "err", err, "not_logged", unsaid)
		}
	default:
		c.b.log.Debug("connection ended", "client", c.caller.addr, "client_id", c.caller.clientID, "err", err)
	}
}

var errSlow = errors.New("the client was too slow")

// read takes frames off the connection and works on them, one at a time.
func (c *conn) read(ctx context.Context) error {
	r := bufio.NewReaderSize(c.nc, 16<<10)
	for {
		if r.Buffered() < 4 { // else what comes next is here
			if err := c.nc.SetReadDeadline(time.Now().Add(c.b.cfg.IdleTimeout)); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		size, err := kafka.ReadFrameSize(r, c.b.cfg.MaxRequestBytes)
		if err != nil {
			return err
		}
		if err := c.frame(ctx, r, size); err != nil {
			return err
		}
	}
}

// frame reads one frame's content and has it worked on.
func (c *conn) frame(ctx context.Context, r *bufio.Reader, size int) error {
	budget := &budgetReader{r: r, free: freeRequest, c: c, ctx: ctx, size: int64(size), until: time.Now().Add(c.b.cfg.RequestTimeout)}
	defer budget.release()
	if r.Buffered() < size {
		if err := c.nc.SetReadDeadline(budget.until); err != nil {
			return err
		}
	}
	buf, err := kafka.ReadFrameBody(budget, c.buf, size)
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil {
			return fmt.Errorf("%d of a request's %d bytes arrived within %v: %w", len(buf), size, c.b.cfg.RequestTimeout, errSlow)
		}
		return err
	}
	c.buf = nil
	c.b.metrics.inBytes.Add(float64(len(buf) + 4))
	h, body, err := kafka.ParseHeader(buf, c.b.flexible)
	if err != nil {
		return err
	}
	c.caller = c.caller.named(h.ClientID)
	req := &request{RequestHeader: h, body: body, api: c.b.apis[h.Key], caller: c.caller, arrived: time.Now()}
	if err := c.dispatch(ctx, req); err != nil {
		return err
	}
	if req.api.raw != nil && cap(buf) <= keepFrame {
		c.buf = buf // records were copied to where they belong
	}
	return nil
}

// A decoded request may be many times as large as its bytes: each element of an
// array takes at least one byte there and a struct here.
const (
	cheapRequest  = 16 << 10
	decodedFactor = 32
	checkedFactor = 6 // of a request whose counts were checked
)

// freeRequest is how much of a frame is read without asking the budget.
const freeRequest = 2 << 20

// budgetReader takes the memory of a large frame out of the budget of all
// connections, once the first part of it has arrived: a length alone reserves
// nothing. Frames that may be decoded whole are smaller than that: else a
// connection could hold memory while it waits for more. What arrives also moves the
// connection's read deadline: a client may be slow, but must get on.
type budgetReader struct {
	r     io.Reader
	free  int // bytes that need no budget
	c     *conn
	ctx   context.Context
	size  int64
	held  bool
	until time.Time // the deadline
	moved int       // bytes that arrived since it was set
}

// deadlineStep is after how many bytes the deadline is moved.
const deadlineStep = 64 << 10

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.free <= 0 && !b.held {
		ctx, cancel := context.WithTimeout(b.ctx, b.c.b.cfg.RequestTimeout)
		defer cancel()
		if err := b.c.b.memory.Acquire(ctx, b.size); err != nil {
			return 0, fmt.Errorf("no memory for a request of %d bytes: %w", b.size, err)
		}
		b.held = true
	}
	n, err := b.r.Read(p)
	b.free -= n
	if b.moved += n; b.moved >= deadlineStep && err == nil {
		b.move(time.Now())
		err = b.c.nc.SetReadDeadline(b.until)
	}
	return n, err
}

// heldRate is how many times faster than min_request_rate a request must arrive that holds
// memory of all connections.
const heldRate = 16

// move extends the deadline by the time that the bytes which arrived may take at the least
// rate. It is never further away than the request timeout, so that a client which was fast
// at first can't stop for longer.
func (b *budgetReader) move(now time.Time) {
	rate := time.Duration(b.c.b.cfg.MinRequestRate)
	if b.held {
		rate *= heldRate
	}
	b.until = b.until.Add(time.Duration(b.moved) * time.Second / rate)
	if most := now.Add(b.c.b.cfg.RequestTimeout); most.Before(b.until) {
		b.until = most
	}
	b.moved = 0
}

func (b *budgetReader) release() {
	if b.held {
		b.c.b.memory.Release(b.size)
	}
}

// dispatch finds the request's row and lets it work.
func (c *conn) dispatch(ctx context.Context, r *request) error {
	a := r.api
	switch {
	case a == nil:
		return refuse(kafka.ErrFrame, "api key %d is not served, and was not advertised", r.Key)
	case r.Version < a.min || r.Version > a.max:
		if a.key == kmsg.ApiVersions {
			return c.send(r, c.b.oldApiVersions(r))
		}
		return refuse(kafka.ErrFrame, "%s version %d is not served, %d to %d were advertised", a.key.Name(), r.Version, a.min, a.max)
	case len(r.body) > a.limit(&c.b.cfg):
		return refuse(kafka.ErrFrame, "a request %s of %d bytes, at most %d are allowed", a.key.Name(), len(r.body), a.limit(&c.b.cfg))
	}
	c.b.metrics.requests[r.Key].Inc()
	if a.raw != nil {
		return a.raw(ctx, c, r)
	}
	resp, err := c.serve(ctx, r)
	if resp == nil || err != nil {
		return err
	}
	resp.SetVersion(r.Version)
	return c.send(r, resp)
}

// serve decodes a request and has it answered.
func (c *conn) serve(ctx context.Context, r *request) (kmsg.Response, error) {
	release := func() {}
	factor := int64(decodedFactor)
	if r.api.check != nil {
		if err := r.api.check(r.body, r.Version); err != nil {
			return nil, err
		}
		factor = checkedFactor
	}
	if len(r.body) > cheapRequest {
		cost := min(int64(len(r.body))*factor, c.b.cfg.RequestMemoryBytes)
		patience, cancel := context.WithTimeout(ctx, c.b.cfg.RequestTimeout)
		defer cancel()
		if err := c.b.decoding.Acquire(patience, cost); err != nil {
			return nil, fmt.Errorf("no memory to decode a request of %d bytes: %w", len(r.body), err)
		}
		release = sync.OnceFunc(func() { c.b.decoding.Release(cost) })
		defer release()
	}
	req := kmsg.RequestForKey(r.Key)
	req.SetVersion(r.Version)
	if err := kafka.Decode(r.body, req); err != nil {
		return nil, err
	}
	if r.api.waits {
		release()
	}
	return r.api.serve(ctx, r.caller, req), nil
}

// send queues an answer that is ready.
func (c *conn) send(r *request, resp kmsg.Response) error {
	out := &response{frame: [][]byte{kafka.AppendResponse(nil, r.CorrelationID, resp)}, req: r}
	out.ready.Store(true)
	return c.queue(out)
}

// queue puts an answer in its place. It waits while too many are outstanding.
func (c *conn) queue(r *response) error {
	c.out <- r
	return nil
}

// write sends answers in order, as many at a time as are ready.
func (c *conn) write() error {
	w := gather{c: c}
	for r := range c.out {
		if !r.ready.Load() {
			if err := w.flush(); err != nil {
				return err
			}
			c.await(r)
		}
		w.add(r)
		if !r.close && len(c.out) > 0 && len(w.bufs) < maxGather {
			continue
		}
		if err := w.flush(); err != nil || r.close {
			return err
		}
	}
	return w.flush()
}

// maxGather is how many pieces one write takes at most.
const maxGather = 512

// await waits until r is ready, or makes it so when its deadline passes or the
// connection is cut off.
func (c *conn) await(r *response) {
	var expired <-chan time.Time
	gone := c.gone
	if r.expire != nil {
		t := time.NewTimer(time.Until(r.deadline))
		defer t.Stop()
		expired = t.C
	} else {
		gone = nil
	}
	for !r.ready.Load() {
		select {
		case <-c.wake:
		case <-expired:
			expired = nil
			r.expire()
		case <-gone:
			gone = nil
			r.expire()
		}
	}
}

// gather collects answers for one write.
type gather struct {
	c    *conn
	bufs net.Buffers
	sent []*response
	size int
}

func (g *gather) add(r *response) {
	g.bufs = append(g.bufs, r.frame...)
	for _, b := range r.frame {
		g.size += len(b)
	}
	g.sent = append(g.sent, r)
}

// writeStep is how much a client must take within the write timeout.
const writeStep = 1 << 20

func (g *gather) flush() error {
	if len(g.sent) == 0 {
		return nil
	}
	err := g.write()
	now := time.Now()
	for _, r := range g.sent {
		if r.release != nil {
			r.release()
		}
		if m := g.c.b.metrics; r.req != nil {
			m.latency[r.req.Key].Observe(now.Sub(r.req.arrived).Seconds())
		}
	}
	g.c.b.metrics.outBytes.Add(float64(g.size))
	clear(g.sent)
	g.sent, g.bufs, g.size = g.sent[:0], nil, 0
	return err
}

// write sends what was gathered; the client must take each step in time.
func (g *gather) write() error {
	rest := g.bufs
	for len(rest) > 0 {
		n, size := 0, 0
		for n < len(rest) && (n == 0 || size+len(rest[n]) <= writeStep) {
			size += len(rest[n])
			n++
		}
		step := net.Buffers(rest[:n:n])
		rest = rest[n:]
		patience := g.c.b.cfg.WriteTimeout * time.Duration(1+size/writeStep)
		if err := g.c.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := step.WriteTo(g.c.nc); err != nil {
			return err
		}
	}
	return nil
}
