package read

import (
	"context"
	"sync"
	"sync/atomic"

	"varve/internal/reserve"
)

// memory is the budget of the read path: every buffer that it holds, caches or
// has lent out counts.
type memory struct {
	limit atomic.Int64
	chunk int               // size of the buffers that are kept for reuse
	spare sync.Pool         // of *[]byte with that capacity
	evict func(int64) int64 // asks the cache to give up about so much, and returns what it gave up

	mu struct {
		sync.Mutex
		used  int64
		lent  int64           // of it: of buffers that answers hold
		queue []*admission    // in order of arrival
		short chan struct{}   // closed while a caller is in the queue
		kept  reserve.Reserve // of what may be lent, for a batch that its answer must have
	}
}

type admission struct {
	bytes int64
	ok    chan struct{}
}

// buffer is counted memory, shared by reference counting.
type buffer struct {
	b    []byte
	cap  int64 // what is counted
	refs atomic.Int32
	home *memory
	lent int // answers that hold it; guarded by home.mu

	// Positions of blocks whose checksum was found right.
	mu struct {
		sync.Mutex
		checked map[int64]struct{}
	}
}

func newMemory(limit int64, chunk int, evict func(int64) int64) *memory {
	m := &memory{chunk: chunk, evict: evict}
	m.limit.Store(limit)
	m.mu.short = make(chan struct{})
	m.spare.New = func() any { b := make([]byte, chunk); return &b }
	return m
}

// get waits until there is room for n bytes.
func (m *memory) get(ctx context.Context, n int) (*buffer, error) {
	if b := m.try(n); b != nil {
		return b, nil
	}
	m.mu.Lock()
	if len(m.mu.queue) == 0 && m.fits(int64(n)) {
		m.mu.used += int64(n)
		m.mu.Unlock()
		return m.make(n), nil
	}
	a := &admission{int64(n), make(chan struct{})}
	if m.mu.queue = append(m.mu.queue, a); len(m.mu.queue) == 1 {
		close(m.mu.short)
	}
	m.mu.Unlock()
	m.relieve()
	select {
	case <-a.ok:
		return m.make(n), nil
	case <-ctx.Done():
		m.leave(a)
		return nil, ctx.Err()
	}
}

// try returns a buffer if there is room at once.
func (m *memory) try(n int) *buffer {
	m.mu.Lock()
	if len(m.mu.queue) > 0 || !m.fits(int64(n)) {
		m.mu.Unlock()
		return nil
	}
	m.mu.used += int64(n)
	m.mu.Unlock()
	return m.make(n)
}

// force returns a buffer beyond the budget if it must be, for whom waiting would
// mean to hold other buffers meanwhile. It counts all the same.
func (m *memory) force(n int) *buffer {
	m.count(int64(n))
	return m.make(n)
}

// adopt counts memory that is there already.
func (m *memory) adopt(p []byte) *buffer {
	m.count(int64(len(p)))
	return m.wrap(p, len(p))
}

func (m *memory) count(n int64) {
	m.mu.Lock()
	m.mu.used += n
	over := m.mu.used - m.limit.Load()
	m.mu.Unlock()
	if over > 0 {
		m.evict(over)
	}
}

// fits is asked with the lock held. What is larger than the budget goes alone.
func (m *memory) fits(n int64) bool { return m.mu.used+n <= m.limit.Load() || m.mu.used == 0 }

func (m *memory) make(n int) *buffer {
	if n == m.chunk {
		return m.wrap(*m.spare.Get().(*[]byte), n)
	}
	return m.wrap(make([]byte, n), n)
}

func (m *memory) wrap(p []byte, n int) *buffer {
	b := &buffer{b: p, cap: int64(n), home: m}
	b.refs.Store(1)
	return b
}

// leave gives up waiting, or what was granted at the same moment.
func (m *memory) leave(a *admission) {
	m.mu.Lock()
	for i, q := range m.mu.queue {
		if q == a {
			m.mu.queue = append(m.mu.queue[:i], m.mu.queue[i+1:]...)
			m.served()
			m.mu.Unlock()
			return
		}
	}
	m.mu.Unlock()
	m.put(a.bytes)
}

// put takes n bytes off the account and lets in callers that wait.
func (m *memory) put(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.used -= n
	if len(m.mu.queue) == 0 {
		return
	}
	for len(m.mu.queue) > 0 && m.fits(m.mu.queue[0].bytes) {
		m.mu.used += m.mu.queue[0].bytes
		close(m.mu.queue[0].ok)
		m.mu.queue = m.mu.queue[1:]
	}
	m.served()
}

// relieve makes the cache give up what the first in the queue needs. What others hold, too, is
// of no use to it: they call again when they release it.
func (m *memory) relieve() {
	for n := m.awaited(); n > 0 && m.evict(n) > 0; n = m.awaited() {
	}
}

// awaited is what the first in the queue needs, 0 if none waits.
func (m *memory) awaited() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mu.queue) == 0 {
		return 0
	}
	return m.mu.queue[0].bytes
}

// served notes that the queue may be empty again; the lock is held.
func (m *memory) served() {
	if len(m.mu.queue) == 0 {
		m.mu.short = make(chan struct{})
	}
}

// shortage is closed as soon as a caller waits for memory: one that holds some must not
// wait for anything then.
func (m *memory) shortage() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.short
}

// inUse is what is counted now.
func (m *memory) inUse() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.used
}

// An answer holds what it was lent until its client has taken it, which may be never.
// So that others can go on, at most three quarters are lent; up to half whole buffers
// are, however little of them is needed: beyond that it is copied.
func (m *memory) mostLent() int64   { return m.limit.Load() / 4 * 3 }
func (m *memory) freelyLent() int64 { return m.limit.Load() / 2 }

// lend gives an answer a hold on a buffer, of which it needs size bytes or a little
// more, unless that would be too much.
func (m *memory) lend(b *buffer, size int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	more, most := b.cap, m.mostLent()
	if b.lent > 0 {
		more = 0
	}
	if int64(size) < b.cap/2 {
		most = m.freelyLent()
	}
	if m.mu.lent+more > most-m.mu.kept.Beside(more) {
		return false
	}
	b.lent++
	m.mu.lent += more
	b.retain()
	return true
}

// lendCopy gives an answer a buffer of its own, nil if that would be too much. Room is kept for
// a batch that its answer must have: many small ones would never leave a large one any. One
// that is larger than all that may be lent goes alone.
func (m *memory) lendCopy(p []byte, must bool) *buffer {
	n := int64(len(p))
	m.mu.Lock()
	alone := must && m.mu.lent == 0
	if !alone && m.mu.lent+n > m.mostLent()-m.mu.kept.Beside(n) {
		if must && n > leastShare {
			m.mu.kept.Refused(n)
		}
		m.mu.Unlock()
		return nil
	}
	m.mu.kept.Granted(n)
	m.mu.lent += n
	m.mu.Unlock()
	b := m.force(len(p))
	b.lent = 1
	copy(b.b, p)
	return b
}

// takeBack ends an answer's hold.
func (m *memory) takeBack(b *buffer) {
	m.mu.Lock()
	if b.lent--; b.lent == 0 {
		m.mu.lent -= b.cap
	}
	m.mu.Unlock()
	b.release()
}

// share is what one answer may borrow by now: the more is lent the less.
func (m *memory) share() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(max(0, m.mostLent()-m.mu.kept.Beside(0)-m.mu.lent) / 4)
}

func (b *buffer) retain() { b.refs.Add(1) }

// shared reports whether the buffer has more than one user.
func (b *buffer) shared() bool { return b.refs.Load() > 1 }

// release gives up a share of the buffer. If others still have one, the cache may be the
// only one: it gives the buffer up if a caller waits.
func (b *buffer) release() {
	if b.drop() > 0 {
		b.home.relieve()
	}
}

// drop is release for the cache itself.
func (b *buffer) drop() (left int32) {
	switch left = b.refs.Add(-1); {
	case left < 0:
		panic("read: a buffer was released twice")
	case left > 0:
		return left
	}
	if m := b.home; cap(b.b) == m.chunk {
		whole := b.b[:m.chunk]
		b.b = nil
		m.spare.Put(&whole)
	}
	b.home.put(b.cap)
	return 0
}

// check runs the check for a position once.
func (b *buffer) check(at int64, check func() error) error {
	b.mu.Lock()
	_, known := b.mu.checked[at]
	b.mu.Unlock()
	if known {
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.checked == nil {
		b.mu.checked = map[int64]struct{}{}
	}
	b.mu.checked[at] = struct{}{}
	return nil
}
