package replica

import (
	"io"
	"sync"

	"varve/internal/notify"
	"varve/internal/vfs"
)

// intake is the memory between a connection and a disk: while the disk is busy, what
// arrives is gathered, aligned and in one piece. Two buffers take turns; a frame
// that is larger than one gets memory of its own. One goroutine reads in, one takes
// out.
type intake struct {
	size int

	mu struct {
		sync.Mutex
		ready  []piece     // to be taken, oldest first
		inUse  map[int]int // bytes of a buffer that were not given back
		closed bool
	}
	wake notify.Signal // wakes take
	room notify.Signal // wakes read

	// Used by read only.
	bufs [2][]byte
	turn int
	used int // of the buffer whose turn it is

	taken piece // used by take and done only
}

// piece is filled memory: of a buffer, or of its own (-1).
type piece struct {
	b   []byte
	buf int
}

func newIntake(size int) *intake {
	in := &intake{size: size, wake: notify.NewSignal(), room: notify.NewSignal()}
	in.mu.inUse = map[int]int{}
	return in
}

// read reads n bytes from r into memory, waiting until there is some. resume is
// called before it reads.
func (in *intake) read(r io.Reader, n int, resume func() error) error {
	p, err := in.space(n)
	if err != nil {
		return err
	}
	if err := resume(); err != nil {
		return err
	}
	if _, err := io.ReadFull(r, p.b); err != nil {
		return err
	}
	in.put(p)
	return nil
}

// space finds memory for n bytes.
func (in *intake) space(n int) (piece, error) {
	for {
		if in.closedNow() {
			return piece{}, io.ErrClosedPipe
		}
		if p, ok := in.fit(n); ok {
			return p, nil
		}
		<-in.room
	}
}

func (in *intake) fit(n int) (piece, bool) {
	if n > in.size { // alone, so that memory stays bounded
		if in.idle(0) && in.idle(1) && in.idle(-1) {
			return piece{vfs.Aligned(n), -1}, true
		}
		return piece{}, false
	}
	if in.used > 0 && in.idle(in.turn) {
		in.used = 0
	}
	if in.used+n > in.size {
		if !in.idle(1 - in.turn) {
			return piece{}, false
		}
		in.turn, in.used = 1-in.turn, 0
	}
	if in.bufs[in.turn] == nil {
		in.bufs[in.turn] = vfs.Aligned(in.size)
	}
	b := in.bufs[in.turn][in.used : in.used+n]
	return piece{b, in.turn}, true
}

func (in *intake) idle(buf int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.mu.inUse[buf] == 0
}

// put hands what was read to take.
func (in *intake) put(p piece) {
	if p.buf >= 0 {
		in.used += len(p.b)
	}
	in.mu.Lock()
	in.mu.inUse[p.buf] += len(p.b)
	last := len(in.mu.ready) - 1
	if last >= 0 && p.buf >= 0 && in.mu.ready[last].buf == p.buf && adjacent(in.mu.ready[last].b, p.b) {
		in.mu.ready[last].b = in.mu.ready[last].b[:len(in.mu.ready[last].b)+len(p.b)]
	} else {
		in.mu.ready = append(in.mu.ready, p)
	}
	in.mu.Unlock()
	in.wake.Set()
}

// adjacent reports whether q begins where p ends, in the same memory.
func adjacent(p, q []byte) bool {
	return cap(p) > len(p) && &p[:len(p)+1][len(p)] == &q[0]
}

// drain waits until all that was read is taken, and given back.
func (in *intake) drain() error {
	for {
		if in.closedNow() {
			return io.ErrClosedPipe
		}
		if in.idle(0) && in.idle(1) && in.idle(-1) {
			return nil
		}
		<-in.room
	}
}

// take returns what has gathered, as much as is contiguous; false after close. It
// must be given back with done before the next.
func (in *intake) take() ([]byte, bool) {
	for {
		in.mu.Lock()
		if in.mu.closed {
			in.mu.Unlock()
			return nil, false
		}
		if len(in.mu.ready) > 0 {
			in.taken = in.mu.ready[0]
			in.mu.ready = append(in.mu.ready[:0], in.mu.ready[1:]...)
			in.mu.Unlock()
			return in.taken.b, true
		}
		in.mu.Unlock()
		<-in.wake
	}
}

// done frees what take returned.
func (in *intake) done(b []byte) {
	in.mu.Lock()
	in.mu.inUse[in.taken.buf] -= len(b)
	in.mu.Unlock()
	in.taken = piece{}
	in.room.Set()
}

// close wakes all that wait.
func (in *intake) close() {
	in.mu.Lock()
	in.mu.closed = true
	in.mu.Unlock()
	in.wake.Set()
	in.room.Set()
}

func (in *intake) closedNow() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.mu.closed
}
