package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/internal/vfs"
)

// pair is the writer of a journal and a follower on another disk.
type pair struct {
	t      testing.TB
	writer *Store
	w      *Writer
	o      *outcome
	disk   *vfs.Memory
	store  *Store
	f      *Follower
	n      int64
	sizes  []int
}

func newPair(t testing.TB) *pair { return newPairOn(t, vfs.NewMemory()) }

func newPairOn(t testing.TB, disk *vfs.Memory) *pair {
	p := &pair{t: t, writer: openStore(t, small(), vfs.NewMemory()), o: newOutcome(), disk: disk}
	p.w = createJournal(t, p.writer, 1)
	p.store = openStore(t, small(), p.disk)
	if err := p.store.Join(p.w.ID(), Membership{FileBytes: p.writer.FileBytes()}); err != nil {
		t.Fatal(err)
	}
	p.follow()
	t.Cleanup(func() {
		p.w.Close()
		p.writer.Close()
		p.store.Close()
	})
	return p
}

func (p *pair) follow() {
	p.t.Helper()
	var err error
	if p.f, err = p.store.Follow(p.w.ID()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) write(r *rand.Rand, n int) {
	p.t.Helper()
	for range n {
		size := 30 + r.IntN(9000)
		if err := p.o.add(p.t, p.w, p.n, size); err != nil {
			p.t.Fatal(err)
		}
		p.sizes = append(p.sizes, size)
		p.n++
		if r.IntN(4) == 0 {
			p.o.n.Wait() // more entries
		}
	}
	p.o.shown(p.w)
}

// ship sends the follower the entries that it lacks, up to a number, and syncs now and then.
func (p *pair) ship(r *rand.Rand, upTo uint64) {
	p.t.Helper()
	c, err := p.writer.Cursor(p.w.ID(), p.f.Durable())
	if err != nil {
		p.t.Fatal(err)
	}
	for {
		run, err := c.Next(upTo, 64<<10)
		if err != nil {
			p.t.Fatal(err)
		}
		if len(run.Bytes) == 0 {
			break
		}
		err = p.f.Append(p.t.Context(), bytes.Clone(run.Bytes), 0)
		run.Release()
		if err != nil {
			p.t.Fatal(err)
		}
		if r.IntN(3) == 0 {
			p.sync()
		}
	}
}

func (p *pair) sync() uint64 {
	p.t.Helper()
	n, err := p.f.Sync()
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// check reads all that a store has, and returns the number of appends.
func (p *pair) check(s *Store) (next int64) { return p.checkFrom(s, 0) }

// checkFrom is check for a store that begins with a later append.
func (p *pair) checkFrom(s *Store, next int64) int64 {
	p.t.Helper()
	err := s.Entries(p.w.ID(), func(e *Entry) error {
		for i := range e.Records {
			rec := &e.Records[i]
			got := make([]byte, rec.Size)
			if err := s.ReadAt(p.w.ID(), got, e.Place(rec)); err != nil {
				return err
			}
			if rec.Base != next || e.Place(rec) != p.o.pos[next] {
				return fmt.Errorf("append %d at %v where %d at %v should be", rec.Base, e.Place(rec), next, p.o.pos[next])
			}
			if !bytes.Equal(got, body(next, p.sizes[next])) {
				return fmt.Errorf("append %d at %v in entry %d differs", next, e.Place(rec), e.Number)
			}
			next++
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return next
}

func TestFollowerHoldsTheSameAtTheSamePlaces(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		p.write(r, 100)
		p.ship(r, p.w.Committed())
	}
	if got := p.sync(); got != p.w.Committed() {
		t.Fatalf("durable up to %d of %d", got, p.w.Committed())
	}
	if got := p.check(p.store); got != p.n {
		t.Errorf("%d of %d appends", got, p.n)
	}
}

// TestFollowerCrash is promise 1 for a member: after a loss of power at any moment, all that it
// acknowledged is there, in order, and it continues from there.
func TestFollowerCrash(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		p := newPair(t)
		for range 4 {
			p.write(r, 20+r.IntN(60))
			p.ship(r, max(3, p.w.Committed())-uint64(r.IntN(3)))
			said := p.f.Durable()
			crashed := p.disk.Crash(r)
			p.store.Close()
			p.disk, p.store = crashed, openStore(t, small(), crashed)
			p.follow()
			if got := p.f.Durable(); got < said {
				t.Fatalf("seed %d: %d entries after the crash, %d were durable", seed, got, said)
			}
			p.check(p.store)
		}
		p.ship(r, p.w.Committed())
		p.sync()
		if got := p.check(p.store); got != p.n {
			t.Fatalf("seed %d: %d of %d appends", seed, got, p.n)
		}
	}
}

func TestFollowerRefusesWhatDoesNotFollow(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	var runs [][]byte
	for range 3 {
		p.write(r, 1)
		c, err := p.writer.Cursor(p.w.ID(), p.w.Committed()-1)
		if err != nil {
			t.Fatal(err)
		}
		run, err := c.Next(p.w.Committed(), 1)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, bytes.Clone(run.Bytes))
		run.Release()
	}
	put := func(b []byte) error { return p.f.Append(t.Context(), bytes.Clone(b), 0) }
	if err := put(runs[1]); err == nil {
		t.Error("a gap was taken")
	}
	first, err := parseHeader(runs[0], int64(len(runs[0])))
	if err != nil {
		t.Fatal(err)
	}
	for at := range int(first.dirAt + first.dirLen) {
		bad := bytes.Clone(runs[0])
		bad[at] ^= 4
		if put(bad) == nil {
			t.Fatalf("a flipped bit at %d was taken", at)
		}
	}
	if err := put(runs[0]); err != nil {
		t.Fatal(err)
	}
	if err := put(runs[0]); err != nil {
		t.Errorf("a repetition: %v", err)
	}
	moved := bytes.Clone(runs[1])
	h, err := parseHeader(moved, int64(len(moved)))
	if err != nil {
		t.Fatal(err)
	}
	h.pos += blockBytes
	h.put(moved)
	if err := put(moved); err == nil {
		t.Error("an entry with another place was taken")
	}
	skipped := bytes.Clone(runs[1])
	h.pos -= blockBytes
	h.number++
	h.put(skipped)
	if err := put(skipped); err == nil {
		t.Error("an entry with another number was taken")
	}
	if err := put(append(bytes.Clone(runs[1]), runs[2]...)); err != nil {
		t.Error(err)
	}
	if got := p.sync(); got != 3 {
		t.Errorf("durable up to %d", got)
	}
}

// TestFollowerTakesAFileThatWasLeftEarly: a writer that has no memory for a large append has
// already begun the next file. What it then writes there may be small enough for the file
// before. Members accept it, and find the journal complete after a crash.
func TestFollowerTakesAFileThatWasLeftEarly(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	var runs [][]byte
	for n := range uint64(3) {
		p.write(r, 1)
		c, err := p.writer.Cursor(p.w.ID(), n)
		if err != nil {
			t.Fatal(err)
		}
		run, err := c.Next(n+1, 1)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, bytes.Clone(run.Bytes))
		run.Release()
	}
	at := makePos(1, blockBytes)
	for _, run := range runs[1:] {
		h, err := parseHeader(run, int64(len(run)))
		if err != nil {
			t.Fatal(err)
		}
		h.pos = at
		h.put(run)
		at += Pos(h.length)
	}
	for n, run := range runs {
		if err := p.f.Append(t.Context(), run, 0); err != nil {
			t.Fatalf("entry %d: %v", n+1, err)
		}
	}
	if got := p.sync(); got != 3 {
		t.Fatalf("durable up to %d", got)
	}
	s := openStore(t, small(), p.disk.Crash(r))
	defer s.Close()
	var numbers []uint64
	if last, err := s.Recover(p.w.ID()); err != nil || last != 3 {
		t.Fatalf("recovered up to %d, %v", last, err)
	}
	err := s.Entries(p.w.ID(), func(e *Entry) error {
		numbers = append(numbers, e.Number)
		return nil
	})
	if err != nil || fmt.Sprint(numbers) != "[1 2 3]" {
		t.Errorf("after a crash there are entries %v, %v", numbers, err)
	}
}

// TestFenceEndsTheWriter: after a fence, nothing from an earlier epoch becomes durable.
func TestFenceEndsFollowing(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	p.write(r, 30)
	p.ship(r, p.w.Committed()) // some of it not synced
	last, err := p.store.Fence(p.w.ID(), 7)
	if err != nil || last != p.w.Committed() {
		t.Fatalf("fenced at entry %d of %d: %v", last, p.w.Committed(), err)
	}
	p.write(r, 3)
	c, err := p.writer.Cursor(p.w.ID(), last)
	if err != nil {
		t.Fatal(err)
	}
	run, err := c.Next(p.w.Committed(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Release()
	for _, epoch := range []uint64{0, 6, 8} {
		if err := p.f.Append(t.Context(), bytes.Clone(run.Bytes), epoch); !errors.Is(err, ErrFenced) {
			t.Errorf("epoch %d: %v", epoch, err)
		}
	}
	if err := p.f.Append(t.Context(), bytes.Clone(run.Bytes), 7); err != nil {
		t.Fatal(err)
	}
	again := p.disk.Crash(r)
	s := openStore(t, small(), again)
	defer s.Close()
	f, err := s.Follow(p.w.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Append(t.Context(), bytes.Clone(run.Bytes), 0); !errors.Is(err, ErrFenced) {
		t.Errorf("after a restart: %v", err)
	}
}

// TestWaitingForAFileIsShared: a stream and a recoverer that wait for the same file both
// continue when it is there.
func TestWaitingForAFileIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, slow := ahead(t)
		stream, copied := make(chan error, 1), make(chan error, 1)
		go func() { stream <- p.stream(t.Context(), 0) }()
		synctest.Wait() // it waits for the third file
		if _, err := p.store.Fence(p.w.ID(), 5); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // of fake time
		defer cancel()
		go func() { copied <- p.stream(ctx, 5) }()
		synctest.Wait()
		close(slow)
		if err := <-stream; !errors.Is(err, ErrFenced) {
			t.Errorf("the stream: %v", err)
		}
		if err := <-copied; err != nil {
			t.Errorf("the recoverer: %v", err)
		}
		if n := p.sync(); n != p.w.Committed() {
			t.Errorf("it has %d of %d", n, p.w.Committed())
		}
	})
}

// TestFenceEndsTheWriterItself: the same for the store of the writer.
func TestFenceEndsTheWriterItself(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	p.write(r, 30)
	last, err := p.writer.Fence(p.w.ID(), 7)
	if err != nil || last != p.w.Committed() {
		t.Fatalf("fenced at entry %d of %d: %v", last, p.w.Committed(), err)
	}
	<-p.w.Ended()
	if err := p.o.add(t, p.w, p.n, 100); !errors.Is(err, ErrFenced) || !errors.Is(err, ErrClosed) {
		t.Errorf("append after that: %v", err)
	}
	if got, err := p.writer.Last(p.w.ID()); err != nil || got != last {
		t.Errorf("last entry is %d, %v", got, err)
	}
}

// TestFenceCountsWhatWasNotCommitted: an entry on the disk of a fenced writer counts, whether
// or not its owners were told. Copies follow it.
func TestFenceCountsWhatWasNotCommitted(t *testing.T) {
	s := openStore(t, small(), vfs.NewMemory())
	defer s.Close()
	q := newQuorum()
	j := id.Journal{Writer: 1, Seq: 1}
	w := replicated(t, s, j, q)
	defer w.Close()
	l := newLedger()
	for n := range int64(8) {
		if err := l.add(t, w, n, 30000); err != nil {
			t.Fatal(err)
		}
		w.Commit(j, min(<-q.closed, 3))
	}
	last, err := s.Fence(j, 4)
	if err != nil {
		t.Fatal(err)
	}
	l.n.Wait()
	if told := w.Committed(); last < told || told > 3 {
		t.Errorf("%d told, %d held", told, last)
	}
	entries := uint64(0)
	if err := s.Entries(j, func(e *Entry) error { entries++; return nil }); err != nil || entries != last {
		t.Errorf("%d of %d entries: %v", entries, last, err)
	}
	c, err := s.Cursor(j, 0)
	if err != nil {
		t.Fatal(err)
	}
	run, err := c.Next(last, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Release()
	f, err := s.Follow(j)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Append(t.Context(), bytes.Clone(run.Bytes), 4); err != nil {
		t.Error(err)
	}
	if f.Durable() != last {
		t.Errorf("goes on at %d of %d", f.Durable(), last)
	}
}

func TestSealedJournalTakesWhatLiesBelowItsEnd(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	p.write(r, 40)
	end := p.w.Committed() - 2
	p.ship(r, end-3)
	p.sync()
	if err := p.store.Seal(p.w.ID(), end); err != nil {
		t.Fatal(err)
	}
	c, err := p.writer.Cursor(p.w.ID(), end-3)
	if err != nil {
		t.Fatal(err)
	}
	for {
		run, err := c.Next(p.w.Committed(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(run.Bytes) == 0 {
			break
		}
		err = p.f.Append(t.Context(), bytes.Clone(run.Bytes), 0)
		if refused := errors.Is(err, ErrClosed); refused != (run.First > end) || err != nil && !refused {
			t.Fatalf("entry %d of a journal that ends at %d: %v", run.First, end, err)
		}
		run.Release()
	}
	p.sync()
	if last, err := p.store.Last(p.w.ID()); err != nil || last != end {
		t.Errorf("holds %d of %d, %v", last, end, err)
	}
}

// ahead returns a pair whose writer is beyond the follower's second file. The follower's disk
// makes no third file until slow is closed.
func ahead(t *testing.T) (p *pair, slow chan struct{}) {
	disk := vfs.NewMemory()
	p = newPairOn(t, disk)
	synctest.Wait() // the second file is made
	slow = make(chan struct{})
	disk.Fault = func(op, name string) error {
		if op == "open" && strings.HasSuffix(name, ".tmp") && !strings.Contains(name, "meta") {
			<-slow
		}
		return nil
	}
	r := rand.New(rand.NewPCG(1, 2))
	for p.write(r, 20); p.o.pos[p.n-1].file() < 2; {
		p.write(r, 20)
	}
	return p, slow
}

// stream appends all that the writer has committed to the follower.
func (p *pair) stream(ctx context.Context, epoch uint64) error {
	c, err := p.writer.Cursor(p.w.ID(), p.f.Durable())
	for err == nil {
		var run Run
		if run, err = c.Next(p.w.Committed(), 64<<10); err != nil || len(run.Bytes) == 0 {
			break
		}
		err = p.f.Append(ctx, bytes.Clone(run.Bytes), epoch)
		run.Release()
	}
	return err
}

// TestDropWhileAFileIsAwaited: an append that waits for a journal's next file fails when the
// journal is dropped, and a file that was being made is removed.
func TestDropWhileAFileIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, slow := ahead(t)
		stream := make(chan error, 1)
		go func() { stream <- p.stream(t.Context(), 0) }()
		synctest.Wait() // it waits for the third file
		if err := p.store.Seal(p.w.ID(), p.w.Committed()); err != nil {
			t.Fatal(err)
		}
		p.store.Drop(p.w.ID())
		synctest.Wait()
		select {
		case err := <-stream:
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("the stream: %v", err)
			}
		default:
			t.Error("the stream waits for ever")
		}
		close(slow)
		synctest.Wait()
		if n, names := p.store.Untrimmed(), p.disk.Names(suffixFile); n != 0 || len(names) != 0 {
			t.Errorf("%d bytes untrimmed, %v left", n, names)
		}
		if names := p.disk.Names(suffixMeta); len(names) != 0 {
			t.Errorf("%v left", names)
		}
		if _, err := p.store.Follow(p.w.ID()); !errors.Is(err, ErrUnknown) {
			t.Errorf("followed again: %v", err)
		}
	})
}

func TestFollowedJournalsAreTrimmedAndDropped(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	p.write(r, 300)
	p.ship(r, p.w.Committed())
	p.sync()
	before := p.store.Untrimmed()
	p.store.Trim(p.w.ID(), p.w.Committed())
	if after := p.store.Untrimmed(); after >= before {
		t.Errorf("%d untrimmed bytes before, %d after", before, after)
	}
	if err := p.store.Seal(p.w.ID(), p.w.Committed()); err != nil {
		t.Fatal(err)
	}
	p.store.Drop(p.w.ID())
	p.store.janitor.recycler.run()
	if left := p.store.Journals(); len(left) != 0 {
		t.Errorf("%v left", left)
	}
	if names := p.disk.Names(suffixFile); len(names) > 1 { // one may have been in the making
		t.Errorf("%v left", names)
	}
	if err := p.f.Append(t.Context(), nil, 0); err != nil {
		t.Error(err)
	}
	if err := p.store.Join(p.w.ID(), Membership{FileBytes: 8192}); err != nil { // another life
		t.Error(err)
	}
}

// TestTrimNeverForgetsTheNumber: however much is trimmed, the number of the last durable entry
// is known after a loss of power.
func TestTrimNeverForgetsTheNumber(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	p.write(r, 200)
	c, err := p.writer.Cursor(p.w.ID(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for p.f.file.num == 0 || len(p.f.fresh) == 0 { // until a file is begun, and not synced
		said := p.sync()
		run, err := c.Next(p.w.Committed(), 1)
		if err != nil || len(run.Bytes) == 0 {
			t.Fatalf("no second file: %v", err)
		}
		err = p.f.Append(t.Context(), bytes.Clone(run.Bytes), 0)
		run.Release()
		if err != nil {
			t.Fatal(err)
		}
		p.store.Trim(p.w.ID(), said)
	}
	said := p.f.Durable()
	p.store.janitor.recycler.run()
	for seed := range uint64(20) {
		s := openStore(t, small(), p.disk.Crash(rand.New(rand.NewPCG(seed, 1))))
		if last, err := s.Last(p.w.ID()); err != nil || last < said {
			t.Errorf("seed %d: %d entries, %d were durable: %v", seed, last, said, err)
		}
		s.Close()
	}
}

// TestFullDiskIsAnAnswer: a follower without room returns ErrFull, and continues when there is
// room.
func TestFullDiskIsAnAnswer(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	p.store.Close()
	cfg := small()
	cfg.SoftBytes, cfg.HardBytes = 2*cfg.FileBytes, 2*cfg.FileBytes
	p.store = openStore(t, cfg, p.disk.Crash(r))
	p.follow()
	p.write(r, 300)
	c, err := p.writer.Cursor(p.w.ID(), 0)
	if err != nil {
		t.Fatal(err)
	}
	full := false
	for !full {
		run, err := c.Next(p.w.Committed(), 64<<10)
		if err != nil || len(run.Bytes) == 0 {
			t.Fatalf("never full: %v", err)
		}
		b := bytes.Clone(run.Bytes)
		run.Release()
		if err := p.f.Append(t.Context(), b, 0); errors.Is(err, ErrFull) {
			full = true
			p.store.Trim(p.w.ID(), p.sync())
			for errors.Is(err, ErrFull) {
				err = p.f.Append(t.Context(), b, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestJoinAgain(t *testing.T) {
	s := openStore(t, small(), vfs.NewMemory())
	defer s.Close()
	j := id.Journal{Writer: 4, Seq: 1}
	if _, err := s.Follow(j); !errors.Is(err, ErrUnknown) {
		t.Errorf("followed without joining: %v", err)
	}
	if _, err := s.Fence(j, 1); !errors.Is(err, ErrUnknown) {
		t.Errorf("fenced without joining: %v", err)
	}
	for range 2 {
		if err := s.Join(j, Membership{FileBytes: 64 << 10}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Join(j, Membership{FileBytes: 128 << 10}); err == nil {
		t.Error("joined with another size")
	}
	for _, size := range []int64{0, -4096, 5000, MaxFileBytes + 4096} {
		if err := s.Join(id.Journal{Writer: 5, Seq: 1}, Membership{FileBytes: size}); err == nil {
			t.Errorf("joined with files of %d bytes", size)
		}
	}
	if _, err := s.Fence(j, 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Join(j, Membership{FileBytes: 64 << 10}); !errors.Is(err, ErrFenced) {
		t.Errorf("joined what is fenced: %v", err)
	}
	if err := s.Join(j, Membership{FileBytes: 64 << 10, Fence: 3}); err != nil {
		t.Errorf("joined for copies: %v", err)
	}
}

// TestMetaVersions: meta files of older programs are read.
func TestMetaVersions(t *testing.T) {
	want := meta{version: 1, fence: 5, sealed: true, end: 9}
	got, err := decodeMeta(want.encode())
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	want = meta{version: 2, fence: 5, end: 9, fileBytes: 4096}
	if got, err = decodeMeta(want.encode()); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	want = meta{version: 3, fence: 5, fileBytes: 4096, floor: floor{7, makePos(2, blockBytes)}}
	if got, err = decodeMeta(want.encode()); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	want.floor.at += blockBytes
	if _, err = decodeMeta(want.encode()); err == nil {
		t.Error("a floor within a file was believed")
	}
}

// TestOneJournalsFileIsNotEverybodys: appends to a journal whose next file can't be made are
// refused. Another journal on the same disk continues.
func TestOneJournalsFileIsNotEverybodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		p := newPairOn(t, disk)
		synctest.Wait() // the second file is made
		var mended atomic.Bool
		broken := errors.New("input/output error")
		disk.Fault = func(op, name string) error {
			if op == "open" && !mended.Load() && strings.Contains(name, p.w.ID().String()+".") && strings.HasSuffix(name, suffixFile+".tmp") {
				return broken
			}
			return nil
		}
		r := rand.New(rand.NewPCG(1, 2))
		for p.write(r, 20); p.o.pos[p.n-1].file() < 3; {
			p.write(r, 20)
		}
		if err := p.stream(t.Context(), 0); !errors.Is(err, ErrFull) || !errors.Is(err, broken) {
			t.Fatalf("the journal whose file can't be made: %v", err)
		}
		w := createJournal(t, p.store, 7)
		defer w.Close()
		o := newOutcome()
		for n := int64(0); n == 0 || o.pos[n-1].file() < 5; n++ {
			if err := o.add(t, w, n, 8000); err != nil {
				t.Fatalf("append %d of the other: %v", n, err)
			}
			o.n.Wait()
		}
		mended.Store(true)
		time.Sleep(2 * retryEvery) // of fake time
		if err := p.stream(t.Context(), 0); err != nil {
			t.Errorf("when it can be made: %v", err)
		}
	})
}

// TestNothingIsReadBehindTheEnd: what a member's file holds after its last entry is no part of
// the journal.
func TestNothingIsReadBehindTheEnd(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	p.write(r, 20)
	half := p.w.Committed() / 2
	p.ship(r, half)
	p.sync()
	had := p.check(p.store)
	if had == 0 || had == p.n {
		t.Fatalf("it has %d of %d", had, p.n)
	}
	for restarted := range 2 {
		for n := had; n < p.n; n++ {
			got := make([]byte, p.sizes[n])
			if err := p.store.ReadAt(p.w.ID(), got, p.o.pos[n]); !errors.Is(err, ErrGone) {
				t.Errorf("append %d, after %d restarts: %v", n, restarted, err)
			}
		}
		if restarted == 0 {
			p.store.Close()
			p.store = openStore(t, small(), p.disk)
			p.follow()
		}
	}
}
