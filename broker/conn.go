package broker

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/semaphore"

	"varve/auth/sasl"
	"varve/internal/notify"
	"varve/kafka"
	"varve/meter"
)

// conn is one client's connection: a goroutine that reads and works, and one
// that writes the answers in the order of the requests.
type conn struct {
	b        *Broker
	nc       net.Conn // of TLS: a *tls.Conn
	listener *Listener
	caller   *caller // of the frame being worked on
	login    *login  // nil: the listener asks for none
	*admission
	out      chan *response
	wake     notify.Signal       // an answer became ready
	gone     chan struct{}       // closed when nothing is to be answered any more
	fetching *semaphore.Weighted // of 1: an answer with records is being made, or sent
	buf      []byte              // for small frames, reused where that is safe
	kept     atomic.Int64        // bytes of answers that send has queued
	freed    notify.Signal       // some of kept was written or given up
	throttle throttle
	counts   counting
}

func newConn(b *Broker, nc net.Conn, who *caller, asks *Listener) *conn {
	who.rights = b.authorizer.rights()
	c := &conn{b: b, nc: nc, caller: who, listener: asks, admission: &admission{raw: nc, proves: asks.TLS != nil || len(asks.Mechanisms) > 0}, out: make(chan *response, pipelined), wake: notify.NewSignal(), gone: make(chan struct{}),
		fetching: semaphore.NewWeighted(1), freed: notify.NewSignal()}
	c.throttle.quotas, who.throttle = b.quotas, &c.throttle
	if asks.TLS != nil {
		c.nc = tls.Server(newSealed(nc, asks.TLS), asks.TLS)
	}
	if len(asks.Mechanisms) > 0 {
		c.login = &login{server: b.sasl, from: network(who.host), mechanisms: asks.Mechanisms, maxReauth: asks.MaxReauth}
	}
	return c
}

// pipelined is how many answers of one connection may be outstanding.
const pipelined = 256

// request is a frame that was taken apart.
type request struct {
	kafka.RequestHeader
	body    kafka.RequestBody
	frame   *frame // in which body is
	api     *api
	caller  *caller
	arrived time.Time
	idle    time.Duration     // that it waited for others since
	counts  *meter.ClientConn // of the caller; nil: it isn't known who that is
}

// waits notes that a request waited since a moment.
func (r *request) waits(since time.Time) { r.idle += time.Since(since) }

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
		c.wake.Set()
	}
}

func (c *conn) run(ctx context.Context) {
	defer c.settle()
	if err := c.secure(ctx); err != nil {
		c.note(err)
		c.cut(err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { c.nc.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	written := make(chan struct{})
	var lost error // why nothing more could be written
	go func() {
		defer close(written)
		lost = c.write()
		cancel()
		for r := range c.out { // no one reads these answers
			if r.release != nil && r.ready.Load() {
				r.release()
			}
		}
	}()
	err := c.read(ctx)
	close(c.out)
	<-written
	c.counts.close()
	cancel()
	c.note(lost)
	c.note(err)
	c.nc.Close()
}

// note logs and counts why a connection ends, unless the client just left. It must run before the
// connection is closed, so that a client that sees the end finds it in the metrics.
func (c *conn) note(err error) {
	if why := c.cutWhy(); why != nil && err != nil {
		err = why
		c.why.Store(nil) // it is said once
	}
	switch {
	case errors.Is(err, errLogin): // authentication.failed logged it
	case errors.Is(err, sasl.ErrBusy):
		c.sayBad(err)
	case errors.Is(err, errLate), errors.Is(err, errRoom):
		c.b.auth.metrics.late.Inc()
		c.sayBad(err)
	case errors.Is(err, errExpired):
		c.b.auth.metrics.expired.Inc()
		c.sayBad(err)
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled):
	case errors.Is(err, kafka.ErrFrame) || errors.Is(err, errSlow) || errors.Is(err, errNotTLS) || errors.Is(err, errNoData):
		c.b.metrics.badConns.Inc()
		c.sayBad(err)
	default:
		c.b.log.Debug("connection ended", "client", c.caller.addr, "client_id", short(c.caller.clientID), "err", err)
	}
}

// sayBad logs why a client was cut off, once a minute for each address and listener.
func (c *conn) sayBad(err error) {
	if unsaid, ok := c.b.badClients.say(network(c.caller.host), c.caller.listener, time.Now()); ok {
		c.b.log.Warn("connection closed", "client", c.caller.addr, "client_id", short(c.caller.clientID), "listener", c.caller.listener, "err", err, "not_logged", unsaid)
	}
}

var errSlow = errors.New("the client was too slow")

// read takes frames off the connection and works on them, one at a time.
func (c *conn) read(ctx context.Context) error {
	r := bufio.NewReaderSize(c.data(), 16<<10)
	for {
		if err := c.throttle.rest(ctx, c.nc, r, c.b.cfg.IdleTimeout); err != nil {
			return err
		}
		if r.Buffered() < 4 { // else what comes next is here
			if err := c.nc.SetReadDeadline(time.Now().Add(c.b.cfg.IdleTimeout)); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		most, setting := c.b.cfg.MaxRequestBytes, "kafka.max_request_bytes bounds them"
		if !c.login.done() {
			most, setting = min(most, maxLoginRequest), "from a client that is not authenticated yet"
		}
		size, err := kafka.ReadFrameSize(r, most)
		if errors.Is(err, kafka.ErrFrame) {
			return fmt.Errorf("%w (%s)", err, setting)
		}
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
	began := time.Now()
	d := &deadlineReader{r: r, c: c, until: began.Add(c.b.cfg.RequestTimeout)}
	if r.Buffered() < size {
		if err := c.nc.SetReadDeadline(d.until); err != nil {
			return err
		}
	}
	f, err := c.room(ctx, r, size)
	if err == nil {
		defer f.free(false)
		d.frame = f
		err = d.resume(f.wait)
	}
	if err == nil {
		err = f.read(d, size)
	}
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil {
			return fmt.Errorf("%d of a request's %d bytes arrived within %v: %w", d.arrived+r.Buffered(), size, time.Since(began).Round(time.Millisecond), errSlow)
		}
		return err
	}
	c.b.metrics.inBytes.Add(float64(size + 4))
	if c.login.bare() {
		return c.bareToken(ctx, f.bytes)
	}
	h, body, err := kafka.ParseHeader(f.bytes, c.b.apis.flexible)
	if err != nil {
		return err
	}
	c.caller = c.caller.named(h.ClientID)
	req := &request{RequestHeader: h, body: body, frame: f, api: c.b.apis[h.Key], caller: c.caller, arrived: time.Now()}
	if c.login.done() {
		req.counts = c.counts.of(c.b.clients, c.caller)
		req.counts.Requests.Add(1)
		req.counts.BytesIn.Add(int64(size + 4))
	}
	if err := c.dispatch(ctx, req); err != nil {
		return err
	}
	f.free(req.api.raw != nil) // records were copied to where they belong
	return nil
}

// A decoded request may be many times as large as its bytes: each element of an
// array takes at least one byte there and a struct here.
const (
	cheapRequest  = 16 << 10
	decodedFactor = 32
	checkedFactor = 6 // of a request whose counts were checked
)

// deadlineReader moves the connection's read deadline as a frame arrives: a client may be
// slow, but must get on.
type deadlineReader struct {
	r       io.Reader
	c       *conn
	frame   *frame
	until   time.Time // the deadline
	moved   int       // bytes that arrived since it was set
	arrived int

	progress atomic.Int64 // when bytes last arrived, in ns since 1970
	gaveUp   atomic.Bool
}

// giveUp ends the read of the frame if nothing has arrived since a moment. The pool's lock
// is held, so the frame is still being read.
func (d *deadlineReader) giveUp(since time.Time) {
	if d.progress.Load() < since.UnixNano() && d.gaveUp.CompareAndSwap(false, true) {
		_ = d.c.nc.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection
	}
}

// deadlineStep is after how many bytes the deadline is moved.
const deadlineStep = 64 << 10

func (d *deadlineReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.arrived += n
	d.progress.Store(time.Now().UnixNano())
	if d.moved += n; d.moved >= deadlineStep && err == nil {
		d.move(time.Now())
		if err = d.c.nc.SetReadDeadline(d.until); d.gaveUp.Load() && err == nil {
			err = errSlow // the deadline that was just set replaced giveUp's
		}
	}
	return n, err
}

// resume moves the deadline by the time that the client was not at fault for.
func (d *deadlineReader) resume(after time.Duration) error {
	if after < time.Millisecond {
		return nil
	}
	d.until = d.until.Add(after)
	return d.c.nc.SetReadDeadline(d.until)
}

// heldRate is how many times faster than min_request_rate a request must arrive that holds
// memory for which others wait, or of which there is little.
const heldRate = 16

// move extends the deadline by the time that the bytes which arrived may take at the least
// rate. It is never further away than the request timeout, so that a client which was fast
// at first can't stop for longer.
func (d *deadlineReader) move(now time.Time) {
	rate := time.Duration(d.c.b.cfg.MinRequestRate)
	if d.frame.contended() {
		rate *= heldRate
	}
	d.until = d.until.Add(time.Duration(d.moved) * time.Second / rate)
	if most := now.Add(d.c.b.cfg.RequestTimeout); most.Before(d.until) {
		d.until = most
	}
	d.moved = 0
}

// dispatch finds the request's row and lets it work.
func (c *conn) dispatch(ctx context.Context, r *request) error {
	a := r.api
	switch {
	case a == nil:
		return refuse(kafka.ErrFrame, "api key %d is not served, and was not advertised", r.Key)
	case r.Version < a.min || r.Version > a.max:
		if a.key == kmsg.ApiVersions {
			return c.send(r, c.b.apis.oldApiVersions())
		}
		return refuse(kafka.ErrFrame, "%s version %d is not served, %d to %d were advertised", a.key.Name(), r.Version, a.min, a.max)
	case len(r.body) > a.limit(&c.b.cfg):
		return refuse(kafka.ErrFrame, "a request %s of %d bytes, at most %d are allowed (%s)", a.key.Name(), len(r.body), a.limit(&c.b.cfg), a.limitSetting())
	}
	if err := c.login.admit(a.key, r.arrived); err != nil {
		return err
	}
	c.b.metrics.requests[r.Key].Inc()
	if a.raw != nil {
		return a.raw(ctx, c, r)
	}
	resp, err := c.serve(ctx, r)
	if resp == nil || err != nil {
		return err
	}
	var release func()
	if held, ok := resp.(*heldResponse); ok {
		resp, release = held.Response, held.release
	}
	resp.SetVersion(r.Version)
	if c.login.done() {
		c.throttled(r, resp)
	}
	return c.sendHeld(r, resp, release)
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
		if err := c.b.decoding.acquire(ctx, c.b.cfg.RequestTimeout, cost); err != nil {
			return nil, fmt.Errorf("no memory to decode a request of %d bytes: %w", len(r.body), err)
		}
		release = sync.OnceFunc(func() { c.b.decoding.release(cost) })
		defer release()
	}
	req := kmsg.RequestForKey(r.Key)
	req.SetVersion(r.Version)
	if err := kafka.Decode(r.body, req); err != nil {
		return nil, err
	}
	if v, ok := req.(*kmsg.ApiVersionsRequest); ok && clientName.MatchString(v.ClientSoftwareName) && clientName.MatchString(v.ClientSoftwareVersion) {
		c.caller = c.caller.introduced(short(v.ClientSoftwareName), short(v.ClientSoftwareVersion))
	}
	r.body = nil
	r.frame.free(false) // what the request still refers to counts as decoded
	if r.api.waits {
		release()
	}
	if r.api.waits || r.api.stores {
		defer r.waits(time.Now())
	}
	return r.api.serve(ctx, r.caller, req), nil
}

// keptAnswers bounds the bytes of answers that wait for one client to take them, but for one
// answer: an answer may be far larger than its request.
const keptAnswers = 64 << 10

// heldResponse is an answer that holds memory until the client has taken it.
type heldResponse struct {
	kmsg.Response
	release func()
}

// send queues an answer that is ready. It waits while the client has too much to take.
func (c *conn) send(r *request, resp kmsg.Response) error { return c.sendHeld(r, resp, nil) }

// sendHeld is send. release, if not nil, is called when the answer is written or given up.
func (c *conn) sendHeld(r *request, resp kmsg.Response, release func()) error {
	frame := kafka.AppendResponse(nil, r.CorrelationID, resp)
	size := int64(len(frame))
	for kept := c.kept.Load(); kept > 0 && kept+size > keptAnswers; kept = c.kept.Load() {
		<-c.freed // also after the connection is lost: its answers are released
	}
	c.kept.Add(size)
	out := &response{frame: [][]byte{frame}, req: r, release: func() {
		c.kept.Add(-size)
		c.freed.Set()
		if release != nil {
			release()
		}
	}}
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
	size := 0
	for _, b := range r.frame {
		size += len(b)
	}
	if r.req != nil && r.req.counts != nil {
		r.req.counts.BytesOut.Add(int64(size))
	}
	g.size += size
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
		if t, ok := g.c.nc.(*tls.Conn); ok {
			if err := seal(t, step); err != nil {
				return err
			}
			continue
		}
		if _, err := step.WriteTo(g.c.nc); err != nil {
			return err
		}
	}
	return nil
}
