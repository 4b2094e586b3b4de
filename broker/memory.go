package broker

import (
	"bufio"
	"context"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"varve/kafka"
)

// pool is memory that the requests of all connections share. Waiters are served in order
// of arrival.
type pool struct {
	bytes   *semaphore.Weighted
	used    atomic.Int64
	waiting atomic.Int32 // changes under the lock

	mu struct {
		sync.Mutex
		readers map[*deadlineReader]struct{} // of frames that have memory and are arriving
		served  chan struct{}                // closed when the last waiter leaves
	}
}

func newPool(limit int64) *pool {
	p := &pool{bytes: semaphore.NewWeighted(limit)}
	p.mu.readers = map[*deadlineReader]struct{}{}
	return p
}

// stallFor is how long a frame may receive nothing while others wait for memory.
const stallFor = 2 * time.Second

// enter notes a waiter. As long as there is one, stalled frames are given up.
func (p *pool) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting.Add(1) == 1 {
		p.mu.served = make(chan struct{})
		go p.giveUpStalled(p.mu.served)
	}
}

// leave notes that a waiter has left.
func (p *pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting.Add(-1) == 0 {
		close(p.mu.served)
	}
}

func (p *pool) giveUpStalled(served <-chan struct{}) {
	tick := time.NewTicker(stallFor / 4)
	defer tick.Stop()
	for {
		select {
		case <-served:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		for d := range p.mu.readers {
			d.giveUp(time.Now().Add(-stallFor))
		}
		p.mu.Unlock()
	}
}

// arriving notes that a frame with memory of the pool is being read, until the returned
// function is called.
func (p *pool) arriving(d *deadlineReader) (end func()) {
	d.progress.Store(time.Now().UnixNano())
	p.mu.Lock()
	p.mu.readers[d] = struct{}{}
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		delete(p.mu.readers, d)
		p.mu.Unlock()
	}
}

// acquire waits until n bytes are free, at most for the time of patience.
func (p *pool) acquire(ctx context.Context, patience time.Duration, n int64) error {
	if !p.bytes.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		p.enter()
		err := p.bytes.Acquire(ctx, n)
		p.leave()
		if err != nil {
			return err
		}
	}
	p.used.Add(n)
	return nil
}

func (p *pool) release(n int64) {
	p.used.Add(-n)
	p.bytes.Release(n)
}

// Memory is what a broker's pools have in use, in bytes.
type Memory struct {
	Large, Small int64 // requests
	Connections  int   // that are open
}

// Memory returns what is in use now.
func (b *Broker) Memory() Memory {
	b.conns.mu.Lock()
	defer b.conns.mu.Unlock()
	return Memory{b.memory.used.Load() + b.decoding.used.Load(), b.small.used.Load(), len(b.conns.mu.open)}
}

// A request of up to ownFrame bytes is read into a buffer of its connection. Others take
// memory out of a pool, small ones up to freeRequest bytes out of another than large ones: a
// client that sends large ones can't hold up the others. They do so once their first part
// has arrived: a length alone reserves nothing.
const (
	ownFrame    = 16 << 10
	firstPart   = 4 << 10
	freeRequest = 2 << 20
)

// frame is the bytes of a request, and the memory that they hold.
type frame struct {
	bytes []byte
	pool  *pool // nil: they are the connection's
	held  int64
	wait  time.Duration // for the pool
	c     *conn
}

// room finds memory for a frame of n bytes.
func (c *conn) room(ctx context.Context, r *bufio.Reader, n int) (*frame, error) {
	if n <= ownFrame {
		return &frame{bytes: c.buf, c: c}, nil
	}
	f := &frame{pool: c.b.memory, held: int64(n), c: c}
	if n <= freeRequest {
		f.pool, f.held = c.b.small, int64(roundUp(n))
	}
	if head, err := r.Peek(firstPart); err != nil {
		return nil, fmt.Errorf("read frame: %d of %d bytes: %w", len(head), n, err)
	}
	began := time.Now()
	// Requests that don't get on are given up before those that wait for their memory.
	if err := f.pool.acquire(ctx, 2*c.b.cfg.RequestTimeout, f.held); err != nil {
		return nil, fmt.Errorf("no memory for a request of %d bytes: %w", n, err)
	}
	f.wait = time.Since(began)
	f.bytes = frames.get(int(f.held))
	return f, nil
}

// free returns the memory to its pool. Only the first call counts. If reuse is set, the
// caller keeps no reference to the bytes.
func (f *frame) free(reuse bool) {
	if f.c == nil {
		return
	}
	c, b := f.c, f.bytes
	f.c, f.bytes = nil, nil
	switch {
	case f.pool != nil:
		if reuse {
			frames.put(b)
		}
		f.pool.release(f.held)
	case reuse:
		c.buf = b
	default:
		c.buf = nil
	}
}

// contended reports whether others need the memory that the frame holds.
func (f *frame) contended() bool {
	return f.pool == f.c.b.memory || f.pool != nil && f.pool.waiting.Load() > 0
}

// buffers keeps buffers for frames from 16 KiB to 2 MiB for use again, in four sizes between
// a power of two and the next.
type buffers struct{ sizes [4 * 8]sync.Pool }

var frames buffers

// roundUp returns the size of the buffer for n bytes.
func roundUp(n int) int {
	step := 1 << max(0, bits.Len(uint(n-1))-3)
	return (n + step - 1) / step * step
}

// class returns where buffers of a size that was rounded up are kept, or nil.
func (b *buffers) class(size int) *sync.Pool {
	octave := bits.Len(uint(size-1)) - 15 // 0: 16 KiB and a byte to 32 KiB
	if octave < 0 || octave > 7 || roundUp(size) != size || size > freeRequest {
		return nil
	}
	quarter := (size-1)>>(octave+12) - 4
	return &b.sizes[4*octave+quarter]
}

func (b *buffers) get(size int) []byte {
	if class := b.class(size); class != nil {
		if kept, ok := class.Get().(*[]byte); ok {
			return *kept
		}
	}
	return make([]byte, 0, size)
}

func (b *buffers) put(p []byte) {
	if class := b.class(cap(p)); class != nil {
		p = p[:0]
		class.Put(&p)
	}
}

// read reads the n bytes of the frame into its memory.
func (f *frame) read(r *deadlineReader, n int) error {
	if f.pool != nil {
		defer f.pool.arriving(r)()
	}
	var err error
	f.bytes, err = kafka.ReadFrameBody(r, f.bytes, n)
	return err
}
