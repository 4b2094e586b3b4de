package replica

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"varve/internal/id"
	"varve/internal/mutate"
	"varve/wal"
)

// journal is one journal that this agent writes, with its ensemble.
//
// Invariant: the commit index is the Quorum-th highest of the members' durable
// numbers; this store is a member as any other.
type journal struct {
	endpoint  *endpoint
	touch     func() // something changed that Members shows
	id        id.Journal
	quorum    int
	fileBytes int64
	writer    atomic.Pointer[wal.Writer]
	senders   []*sender

	mu struct {
		sync.Mutex
		own      uint64 // durable on this store
		closed   uint64 // the newest entry that may be sent
		end      wal.Pos
		left     bool // the writer moved on: nothing beyond closed will come
		trimPos  wal.Pos
		trimUpTo uint64
	}
}

// Member is how far one store of an ensemble got.
type Member struct {
	Store      id.Store
	Own        bool      // this agent's store
	Durable    uint64    // it has the entries up to here on disk
	LagEntries uint64    // closed entries that it doesn't have
	LagBytes   int64     // about how many bytes these are
	Connected  time.Time // since when; zero: it is not
	Behind     bool      // its lag is over Config.MaxLagBytes
	Err        error     // why it was not connected, or what it refused last
}

func newJournal(e *endpoint, touch func(), j id.Journal, members []id.Store, quorum int) *journal {
	x := &journal{endpoint: e, touch: touch, id: j, quorum: quorum, fileBytes: e.deps.Store.FileBytes()}
	x.mu.end = wal.First
	for _, s := range members {
		if s != e.own {
			x.senders = append(x.senders, newSender(x, s))
		}
	}
	return x
}

// Closed, for wal.Replication: wakes the senders.
func (x *journal) Closed(number uint64, end wal.Pos) {
	x.mu.Lock()
	if !x.mu.left {
		x.mu.closed, x.mu.end = number, end
	}
	x.mu.Unlock()
	for _, s := range x.senders {
		s.wake.Set()
	}
}

// Durable, for wal.Replication.
func (x *journal) Durable(number uint64) {
	x.mu.Lock()
	x.mu.own = max(x.mu.own, number)
	x.mu.Unlock()
	x.advance()
}

// bind makes the writer known, whose callbacks may have come before.
func (x *journal) bind(w *wal.Writer) {
	x.writer.Store(w)
	x.advance()
}

// advance commits what a quorum has.
func (x *journal) advance() {
	w := x.writer.Load()
	if w == nil {
		return
	}
	var room [8]uint64
	durable := append(room[:0], x.ownDurable())
	fenced := 0
	for _, s := range x.senders {
		d, isFenced := s.progress()
		durable = append(durable, d)
		if isFenced {
			fenced++
		}
	}
	if n := index(durable, x.quorum); n > 0 {
		w.Commit(x.id, n)
	}
	if fenced > len(durable)-x.quorum && !x.isLeft() {
		w.Abort(wal.ErrFenced) // no quorum will take an append any more
	}
}

// index is the quorum-th highest of the durable numbers: the commit index.
func index(durable []uint64, quorum int) uint64 {
	if mutate.On(mutate.AckBelowQuorum) {
		quorum--
	}
	slices.Sort(durable)
	return durable[len(durable)-quorum]
}

func (x *journal) ownDurable() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mu.own
}

func (x *journal) isLeft() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mu.left
}

// leave marks that the writer moved on, and the journal ends.
func (x *journal) leave(end uint64) {
	x.mu.Lock()
	x.mu.left, x.mu.closed = true, end
	x.mu.Unlock()
	for _, s := range x.senders {
		s.wake.Set()
	}
}

// work is what there is to send.
type work struct {
	closed   uint64
	left     bool
	trimPos  wal.Pos
	trimUpTo uint64
}

func (x *journal) work() work {
	x.mu.Lock()
	defer x.mu.Unlock()
	return work{x.mu.closed, x.mu.left, x.mu.trimPos, x.mu.trimUpTo}
}

func (x *journal) trim(pos wal.Pos, number uint64) {
	x.mu.Lock()
	changed := pos != x.mu.trimPos || number != x.mu.trimUpTo
	x.mu.trimPos, x.mu.trimUpTo = pos, number
	x.mu.Unlock()
	if changed {
		for _, s := range x.senders {
			s.wake.Set()
		}
	}
}

// lag returns how far behind a member is whose last entry, durable, ends at a place.
func (x *journal) lag(durable uint64, at wal.Pos) (entries uint64, bytes int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if durable >= x.mu.closed {
		return 0, 0
	}
	return x.mu.closed - durable, max(0, x.mu.end.Distance(at, x.fileBytes))
}

// members returns how far each got, this store first.
func (x *journal) members() []Member {
	own := Member{Store: x.endpoint.own, Own: true, Durable: x.ownDurable()}
	if w := x.writer.Load(); w != nil && errors.Is(w.Err(), wal.ErrFenced) && w.ID() == x.id {
		own.Err = w.Err()
	}
	x.mu.Lock()
	own.LagEntries = x.mu.closed - min(own.Durable, x.mu.closed)
	x.mu.Unlock()
	all := []Member{own}
	for _, s := range x.senders {
		all = append(all, s.member())
	}
	return all
}
