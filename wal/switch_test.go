package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"varve/internal/id"
	"varve/internal/vfs"
)

// ledger checks that each owner is called once, in order.
type ledger struct {
	mu     sync.Mutex
	next   int64
	places map[int64]place
	failed int64
	faults []string
	n      sync.WaitGroup
}

type place struct {
	j   id.Journal
	pos Pos
	num uint64
}

type line struct {
	l    *ledger
	base int64
}

func newLedger() *ledger { return &ledger{places: map[int64]place{}} }

func (o line) Committed(j id.Journal, pos Pos, number uint64) {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.base != o.l.next || o.l.failed > 0 {
		o.l.faults = append(o.l.faults, fmt.Sprintf("append %d told after %d, %d failed", o.base, o.l.next-1, o.l.failed))
	}
	o.l.next = o.base + 1
	o.l.places[o.base] = place{j, pos, number}
	o.l.n.Done()
}

func (o line) Failed(err error) {
	o.l.mu.Lock()
	o.l.failed++
	o.l.faults = append(o.l.faults, err.Error())
	o.l.mu.Unlock()
	o.l.n.Done()
}

func (l *ledger) add(t testing.TB, w *Writer, n int64, size int) error {
	b := body(n, size)
	rec := Record{Base: n, Count: 1, BodyCRC: sum(b[BodySumFrom:]), ProducerID: -1}
	l.n.Add(1)
	for {
		room := w.Room()
		err := w.Append(&rec, b, line{l, n})
		if err == nil {
			return nil
		}
		if IsBusy(err) {
			err = w.Wait(t.Context(), room)
		}
		if err != nil {
			l.n.Done()
			return err
		}
	}
}

// quorum commits what another member, which is driven by hand, has acknowledged
// together with this store.
type quorum struct {
	mu            sync.Mutex
	local, remote uint64
	closed        chan uint64
	commit        func(uint64)
}

func newQuorum() *quorum { return &quorum{closed: make(chan uint64, 100000)} }

func (q *quorum) Closed(n uint64, _ Pos) { q.closed <- n }
func (q *quorum) Durable(n uint64) {
	q.mu.Lock()
	q.local = n
	q.settle()
}

func (q *quorum) ack(n uint64) {
	q.mu.Lock()
	q.remote = max(q.remote, n)
	q.settle()
}

func (q *quorum) settle() {
	n, commit := min(q.local, q.remote), q.commit
	q.mu.Unlock()
	if commit != nil {
		commit(n)
	}
}

func replicated(t testing.TB, s *Store, j id.Journal, rep Replication) *Writer {
	t.Helper()
	if err := s.Join(j, Membership{FileBytes: s.FileBytes()}); err != nil {
		t.Fatal(err)
	}
	w, err := s.Create(j, rep)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestNothingIsCommittedBeforeTheQuorum(t *testing.T) {
	s := openStore(t, small(), vfs.NewMemory())
	defer s.Close()
	q := newQuorum()
	j := id.Journal{Writer: 1, Seq: 1}
	w := replicated(t, s, j, q)
	q.mu.Lock()
	q.commit = func(n uint64) { w.Commit(j, n) }
	q.mu.Unlock()
	l := newLedger()
	for n := range int64(5) {
		if err := l.add(t, w, n, 100); err != nil {
			t.Fatal(err)
		}
		for n := range q.closed { // the disk is idle: it closes at once
			if n == w.Appended() {
				break
			}
		}
	}
	if got := w.Committed(); got != 0 {
		t.Errorf("entry %d was committed by one of two", got)
	}
	q.ack(w.Appended())
	l.n.Wait()
	if l.next != 5 || len(l.faults) > 0 {
		t.Errorf("told %d, %v", l.next, l.faults)
	}
	if err := l.add(t, w, 5, 100); err != nil {
		t.Fatal(err)
	}
	w.Close()
	l.n.Wait()
	if l.failed != 1 || l.next != 5 {
		t.Errorf("%d failed, told %d", l.failed, l.next)
	}
}

// TestSlowDiskHereDoesNotShow: the other members are a quorum while this disk hangs.
func TestSlowDiskHereDoesNotShow(t *testing.T) {
	mem := vfs.NewMemory()
	j := id.Journal{Writer: 1, Seq: 1}
	hold, held := make(chan struct{}), make(chan struct{}, 1000)
	var slow atomic.Bool
	mem.Fault = func(op, name string) error {
		if op == "write" && strings.Contains(name, j.String()) && slow.Load() {
			held <- struct{}{}
			<-hold
		}
		return nil
	}
	s := openStore(t, small(), mem)
	defer s.Close()
	q := newQuorum()
	w := replicated(t, s, j, q)
	defer w.Close()
	slow.Store(true)
	l := newLedger()
	sizes := make([]int, 20)
	for n := range int64(20) {
		sizes[n] = 5000
		if err := l.add(t, w, n, sizes[n]); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			<-held
		}
		closed := <-q.closed
		w.Commit(j, closed) // two others have it
		l.n.Wait()
	}
	if l.next != 20 {
		t.Errorf("told %d", l.next)
	}
	// What is committed and not on this disk is served from memory.
	for n, p := range l.places {
		got := make([]byte, sizes[n])
		if err := s.ReadAt(p.j, got, p.pos); err != nil || !bytes.Equal(got, body(n, sizes[n])) {
			t.Fatalf("append %d: %v", n, err)
		}
	}
	slow.Store(false)
	close(hold)
	for durable := uint64(0); durable < w.Committed(); {
		var err error
		if durable, err = s.Last(j); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSwitchUnderLoad: at whatever moment the writer switches, each owner is called once, in
// order, and its append is at the place that it was given. The old journal has nothing beyond
// its end.
func TestSwitchUnderLoad(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 9))
		s := openStore(t, small(), vfs.NewMemory())
		l := newLedger()
		q := newQuorum()
		at := id.Journal{Writer: 1, Seq: 1}
		w := replicated(t, s, at, q)
		bind := func(q *quorum, j id.Journal) {
			q.mu.Lock()
			q.commit = func(n uint64) { w.Commit(j, n) }
			q.settle()
		}
		bind(q, at)
		total := int64(300)
		sizes := make([]int, total)
		for i := range sizes {
			sizes[i] = 30 + r.IntN(6000)
		}
		var load sync.WaitGroup
		loaded := make(chan struct{})
		load.Go(func() {
			defer close(loaded)
			for n := range total {
				if err := l.add(t, w, n, sizes[n]); err != nil {
					t.Error(err)
				}
			}
		})
		ends := map[id.Journal]uint64{}
		for seq := uint32(2); seq < 6; seq++ {
			take := func() uint64 {
				select {
				case n := <-q.closed:
					return n
				case <-loaded:
					return 0
				}
			}
			for range r.IntN(10) {
				q.ack(take())
			}
			for range r.IntN(3) {
				take() // and never acknowledged
			}
			next := id.Journal{Writer: 1, Seq: seq}
			if err := s.Join(next, Membership{FileBytes: s.FileBytes()}); err != nil {
				t.Fatal(err)
			}
			nq := newQuorum()
			if err := w.Prepare(next, nq); err != nil {
				t.Fatal(err)
			}
			end := w.Freeze()
			ends[at] = end
			q.ack(end + 1) // too late
			bind(nq, next)
			if err := w.Switch(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Seal(at, end); err != nil {
				t.Fatal(err)
			}
			q, at = nq, next
		}
		var acks sync.WaitGroup
		stop := make(chan struct{})
		acks.Go(func() {
			for {
				select {
				case n := <-q.closed:
					q.ack(n)
				case <-stop:
					return
				}
			}
		})
		load.Wait()
		l.n.Wait()
		close(stop)
		acks.Wait()
		if l.next != total || len(l.faults) > 0 || l.failed > 0 {
			t.Fatalf("seed %d: told %d of %d, %d failed, %v", seed, l.next, total, l.failed, l.faults)
		}
		w.Close()
		for n, p := range l.places {
			if end, sealed := ends[p.j]; sealed && p.num > end {
				t.Fatalf("seed %d: append %d was told of entry %d of %v, which ends at %d", seed, n, p.num, p.j, end)
			}
			got := make([]byte, sizes[n])
			if err := s.ReadAt(p.j, got, p.pos); err != nil || !bytes.Equal(got, body(n, sizes[n])) {
				t.Fatalf("seed %d: append %d: %v", seed, n, err)
			}
		}
		next := int64(0)
		for _, j := range s.Journals() {
			err := s.Entries(j, func(e *Entry) error {
				for i := range e.Records {
					if got := e.Records[i].Base; got != next {
						return fmt.Errorf("append %d where %d should be", got, next)
					}
					next++
				}
				return nil
			})
			if err != nil {
				t.Fatalf("seed %d: journal %v: %v", seed, j, err)
			}
		}
		if next != total {
			t.Fatalf("seed %d: %d of %d appends in the journals", seed, next, total)
		}
		s.Close()
	}
}

// TestLeftJournalReachesTheDisk: entries that other members committed before a switch are
// still written to this disk.
func TestLeftJournalReachesTheDisk(t *testing.T) {
	mem := vfs.NewMemory()
	var slow atomic.Bool
	hold := make(chan struct{})
	mem.Fault = func(op, name string) error {
		if op == "sync" && strings.Contains(name, "1-1.") && slow.Load() {
			<-hold
		}
		return nil
	}
	s := openStore(t, small(), mem)
	defer s.Close()
	q := newQuorum()
	j, next := id.Journal{Writer: 1, Seq: 1}, id.Journal{Writer: 1, Seq: 2}
	w := replicated(t, s, j, q)
	defer w.Close()
	for len(mem.Names("00000001.wal")) == 0 { // the janitor is done with this journal
		if _, err := s.disk.fs.List("j"); err != nil {
			t.Fatal(err)
		}
	}
	slow.Store(true)
	l := newLedger()
	for n := range int64(6) {
		if err := l.add(t, w, n, 3000); err != nil {
			t.Fatal(err)
		}
		w.Commit(j, <-q.closed)
		l.n.Wait()
	}
	if err := s.Join(next, Membership{FileBytes: s.FileBytes(), Prev: 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Prepare(next, newQuorum()); err != nil {
		t.Fatal(err)
	}
	end := w.Freeze()
	w.mu.Lock()
	stored := w.mu.current.stored
	w.mu.Unlock()
	if stored+1 >= end {
		t.Fatalf("%d of %d entries are on this disk already", stored, end)
	}
	if err := w.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	slow.Store(false)
	close(hold)
	for last := uint64(0); last < end; {
		var err error
		if last, err = s.Last(j); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFrozenStaysFrozen: no owner is told of entries that members acknowledge after the journal
// was frozen, even if the journal ends there.
func TestFrozenStaysFrozen(t *testing.T) {
	s := openStore(t, small(), vfs.NewMemory())
	defer s.Close()
	q := newQuorum()
	j := id.Journal{Writer: 1, Seq: 1}
	w := replicated(t, s, j, q)
	defer w.Close()
	l := newLedger()
	if err := l.add(t, w, 0, 100); err != nil {
		t.Fatal(err)
	}
	n := <-q.closed
	w.Commit(j, n)
	l.n.Wait()
	if err := l.add(t, w, 1, 100); err != nil {
		t.Fatal(err)
	}
	again := <-q.closed
	w.Commit(id.Journal{Writer: 1, Seq: 2}, again) // of another journal
	for range 2 {
		if end := w.Freeze(); end != n {
			t.Errorf("frozen at %d, not %d", end, n)
		}
		w.Commit(j, again)
	}
	w.Abort(ErrFenced)
	l.n.Wait()
	if l.next != 1 || l.failed != 1 || w.Committed() != n {
		t.Errorf("told %d, %d failed, committed %d", l.next, l.failed, w.Committed())
	}
}

func TestAbortTellsEveryOwner(t *testing.T) {
	s := openStore(t, small(), vfs.NewMemory())
	defer s.Close()
	q := newQuorum()
	w := replicated(t, s, id.Journal{Writer: 1, Seq: 1}, q)
	l := newLedger()
	for n := range int64(10) {
		if err := l.add(t, w, n, 100); err != nil {
			t.Fatal(err)
		}
	}
	w.Abort(ErrFenced)
	l.n.Wait()
	if l.failed != 10 {
		t.Errorf("%d of 10 heard", l.failed)
	}
	if err := l.add(t, w, 10, 100); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrFenced) {
		t.Errorf("append after that: %v", err)
	}
	w.Close()
}

// TestDroppedJournalFreesItsMemory: a journal that the writer has left, and that is dropped
// before this disk had all of it, holds no memory. Its files stay as a cache, but entries that
// were never written are not read from them.
func TestDroppedJournalFreesItsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMemory()
		var slow atomic.Bool
		hold := make(chan struct{})
		mem.Fault = func(op, name string) error {
			if op == "sync" && strings.Contains(name, "1-1.") && slow.Load() {
				<-hold
			}
			return nil
		}
		cfg := small()
		cfg.KeepBytes, cfg.SoftBytes, cfg.FileBytes, cfg.CacheBytes, cfg.ReadBytes = 1<<30, 1<<30, 4*stretchBytes, 4*stretchBytes, 4*stretchBytes
		const appends = 500 // more than a stretch
		s := openStore(t, cfg, mem)
		defer s.Close()
		q := newQuorum()
		j, next := id.Journal{Writer: 1, Seq: 1}, id.Journal{Writer: 1, Seq: 2}
		w := replicated(t, s, j, q)
		defer w.Close()
		synctest.Wait() // the second file is made
		slow.Store(true)
		l := newLedger()
		for n := range int64(appends) {
			if err := l.add(t, w, n, 5000); err != nil {
				t.Fatal(err)
			}
			w.Commit(j, <-q.closed)
			l.n.Wait()
		}
		if err := s.Join(next, Membership{FileBytes: s.FileBytes(), Prev: 1}); err != nil {
			t.Fatal(err)
		}
		if err := w.Prepare(next, newQuorum()); err != nil {
			t.Fatal(err)
		}
		end := w.Freeze()
		if err := w.Switch(t.Context()); err != nil {
			t.Fatal(err)
		}
		dropped := make(chan error, 1)
		go func() {
			err := s.Seal(j, end)
			s.Drop(j)
			dropped <- err
		}()
		synctest.Wait() // it is next, after the disk
		slow.Store(false)
		close(hold)
		if err := <-dropped; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.cache.mu.Lock()
		for _, k := range s.cache.mu.chunks {
			if n := k.pending.Load(); k.at.journal == j && n > 0 {
				t.Errorf("a chunk of the dropped journal waits for %d entries", n)
			}
		}
		for s.cache.evict() {
		}
		s.cache.mu.Unlock()
		gone := 0
		for range 3 { // once from the file, then out of what is read for those who lag
			for n := range int64(appends) {
				at, p := l.places[n], make([]byte, 5000)
				if v, ok := s.View(at.j, at.pos, len(p)); ok {
					copy(p, v.Bytes)
					v.Release()
				} else if err := s.ReadAt(at.j, p, at.pos); errors.Is(err, ErrGone) {
					gone++
					continue
				} else if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(p, body(n, 5000)) {
					t.Fatalf("append %d at %v reads as what was never written: % x...", n, at.pos, p[:16])
				}
			}
		}
		if gone == 0 || gone == 3*appends {
			t.Errorf("%d of %d reads found nothing", gone, 3*appends)
		}
	})
}
