package wal

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"varve/internal/vfs"
	"varve/internal/workbound"
)

// trimmed makes a journal of several files and trims all that the writer can. The follower has
// some entries of the first file. bases are the first append of each entry.
func (p *pair) trimmed(r *rand.Rand, had uint64) (first uint64, at Pos, bases map[uint64]int64) {
	p.t.Helper()
	p.write(r, 200)
	p.ship(r, had)
	p.sync()
	bases = map[uint64]int64{}
	err := p.writer.Entries(p.w.ID(), func(e *Entry) error {
		bases[e.Number] = e.Records[0].Base
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.trimWriter()
	first, at, err = p.writer.First(p.w.ID())
	if err != nil || first <= had+1 || at.off() != blockBytes || at.file() < 2 {
		p.t.Fatalf("first entry %d at %v: %v", first, at, err)
	}
	return first, at, bases
}

func (p *pair) trimWriter() {
	p.writer.Trim(p.w.ID(), p.w.Committed())
	p.writer.janitor.recycler.run()
}

func (p *pair) skip(first uint64, at Pos) {
	p.t.Helper()
	if err := p.f.Skip(p.t.Context(), first, at, 0); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) reopen() {
	p.t.Helper()
	p.store.Close()
	p.store = openStore(p.t, small(), p.disk)
	p.follow()
}

// TestSkip: a follower that lacks what was trimmed continues after that. From there on it is
// like any other, also after restarts and further skips.
func TestSkip(t *testing.T) {
	for _, had := range []uint64{0, 3} {
		p := newPair(t)
		r := rand.New(rand.NewPCG(had, 1))
		first, at, bases := p.trimmed(r, had)
		j := p.w.ID()
		for _, after := range []uint64{0, had, first - 2} {
			if _, err := p.writer.Cursor(j, after); !errors.Is(err, ErrGone) {
				t.Errorf("a cursor behind %d, the first is %d: %v", after, first, err)
			}
		}
		p.skip(first, at)
		p.skip(first, at) // the same again
		if got, where, err := p.store.First(j); got != first || where != at || err != nil {
			t.Errorf("it begins with %d at %v, not %d at %v: %v", got, where, first, at, err)
		}
		if last, err := p.store.Last(j); last != first-1 || err != nil {
			t.Errorf("it has entries up to %d, not %d: %v", last, first-1, err)
		}
		p.reopen()
		if last := p.f.Durable(); last != first-1 {
			t.Errorf("after a restart it has entries up to %d, not %d", last, first-1)
		}
		p.ship(r, p.w.Committed()-1)
		p.sync()
		p.reopen()
		p.write(r, 100)
		p.ship(r, p.w.Committed())
		if last := p.sync(); last != p.w.Committed() {
			t.Errorf("it has entries up to %d of %d", last, p.w.Committed())
		}
		if next := p.checkFrom(p.store, bases[first]); next != p.n {
			t.Errorf("it holds appends %d to %d, of %d", bases[first], next, p.n)
		}
		if got, _, err := p.store.First(j); got != first || err != nil {
			t.Errorf("it begins with %d, not %d: %v", got, first, err)
		}
		c, err := p.store.Cursor(j, first-1)
		if err != nil {
			t.Fatal(err)
		}
		run, err := c.Next(first, 1)
		if err != nil || run.First != first {
			t.Errorf("the first that it gives on is %d, not %d: %v", run.First, first, err)
		}
		run.Release()
		p.write(r, 200)
		p.trimWriter()
		again, at, err := p.writer.First(j)
		if err != nil || again <= p.f.Durable()+1 {
			t.Fatalf("first entry %d: %v", again, err)
		}
		p.skip(again, at)
		p.ship(r, p.w.Committed())
		if last := p.sync(); last != p.w.Committed() {
			t.Errorf("after another skip it has entries up to %d of %d", last, p.w.Committed())
		}
	}
}

// TestSkipFreesWhatItGivesUp: the files are removed, and don't count as untrimmed.
func TestSkipFreesWhatItGivesUp(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 1))
	p.write(r, 120)
	p.ship(r, p.w.Committed())
	p.sync()
	if n := p.store.Untrimmed(); n < 2*small().FileBytes {
		t.Fatalf("%d bytes are untrimmed", n)
	}
	p.write(r, 200)
	p.trimWriter()
	first, at, err := p.writer.First(p.w.ID())
	if err != nil {
		t.Fatal(err)
	}
	p.skip(first, at)
	p.ship(r, first) // waits for the file, that is for the janitor
	if n := p.store.Untrimmed(); n > 2*small().FileBytes {
		t.Errorf("%d bytes are untrimmed", n)
	}
	p.reopen()
	p.store.janitor.recycler.run()
	for _, suffix := range []string{suffixFile, suffixIndex} {
		for _, name := range p.disk.Names(suffix) {
			if name < "j/"+fileName(p.w.ID(), at.file())[:len(fileName(p.w.ID(), 0))-len(suffixFile)] {
				t.Errorf("%s is left", name)
			}
		}
	}
}

// TestSkipRefusesWhatIsHeld: a skip gives up nothing that may be needed, and is refused to a
// caller with another epoch.
func TestSkipRefusesWhatIsHeld(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 1))
	p.write(r, 120)
	all := p.w.Committed()
	p.ship(r, all)
	had := p.sync()
	last := makePos(p.f.file.num, 0)
	refused := func(what string, first uint64, at Pos, epoch uint64, want error) {
		t.Helper()
		err := p.f.Skip(t.Context(), first, at, epoch)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
		if got := p.f.Durable(); got != had {
			t.Fatalf("%s: it has entries up to %d, not %d", what, got, had)
		}
		if next := p.check(p.store); next != p.n {
			t.Fatalf("%s: %d of %d appends are left", what, next, p.n)
		}
	}
	ahead := makePos(p.f.file.num+1, blockBytes)
	refused("an entry that it has", had, ahead, 0, nil)
	refused("an earlier entry", 2, ahead, 0, nil)
	refused("a place within a file", had+2, ahead+blockBytes, 0, nil)
	refused("the head of a file", had+2, ahead-blockBytes, 0, nil)
	refused("a place that it passed", had+2, last+blockBytes, 0, nil)
	refused("no entry", 0, ahead, 0, nil)
	refused("a recoverer that did not fence", had+2, ahead, 3, ErrFenced)
	if _, err := p.store.Fence(p.w.ID(), 5); err != nil {
		t.Fatal(err)
	}
	refused("a fenced writer", had+2, ahead, 0, ErrFenced)
	refused("an earlier recoverer", had+2, ahead, 4, ErrFenced)
	if err := p.store.Seal(p.w.ID(), had+1); err != nil {
		t.Fatal(err)
	}
	refused("an entry beyond the end", had+2, ahead, 5, ErrClosed)
	p.skipAs(5, had+1, ahead) // nothing is between: no skip
	p.store.Drop(p.w.ID())
	if err := p.f.Skip(t.Context(), had+1, ahead, 5); !errors.Is(err, ErrUnknown) {
		t.Errorf("in a dropped journal: %v", err)
	}
}

func (p *pair) skipAs(epoch, first uint64, at Pos) {
	p.t.Helper()
	if err := p.f.Skip(p.t.Context(), first, at, epoch); err != nil {
		p.t.Fatal(err)
	}
	if next := p.check(p.store); next != p.n {
		p.t.Fatalf("%d of %d appends are left", next, p.n)
	}
}

// moment is a disk after a loss of power, and what its store had acknowledged by then.
type moment struct {
	disk *vfs.Memory
	op   string
	said uint64
}

// TestSkipCrash: wherever a skip is interrupted, the store reports what it held before, or that
// it has everything below the floor, and never more than it has. It can continue.
func TestSkipCrash(t *testing.T) {
	disk := vfs.NewMemory()
	var recording atomic.Bool
	var said atomic.Uint64
	moments := make(chan moment, 10000)
	disk.Fault = func(op, name string) error {
		if recording.Load() && op != "read" {
			for seed := range uint64(3) {
				n := said.Load() // before
				moments <- moment{disk.Crash(rand.New(rand.NewPCG(seed, 7))), op + " " + name, n}
			}
		}
		return nil
	}
	p := newPairOn(t, disk)
	r := rand.New(rand.NewPCG(1, 1))
	const had = 3
	first, at, bases := p.trimmed(r, had)
	all := p.w.Committed()
	said.Store(p.f.Durable())
	recording.Store(true)
	p.skip(first, at)
	said.Store(first - 1)
	p.ship(r, first+1)
	said.Store(p.sync())
	recording.Store(false)
	before, after := 0, 0
	for range len(moments) {
		m := <-moments
		s := openStore(t, small(), m.disk)
		last, err := s.Last(p.w.ID())
		if err != nil {
			t.Fatalf("%s: %v", m.op, err)
		}
		switch {
		case last < m.said || last > first+1 || last > had && last < first-1:
			t.Errorf("%s: it has entries up to %d; it had said %d, the skip was to %d", m.op, last, m.said, first)
		case last == had:
			before++
			if next := p.checkFrom(s, 0); next != bases[had+1] {
				t.Errorf("%s: it holds %d appends, not %d", m.op, next, bases[had+1])
			}
		default:
			after++
			if next := p.checkFrom(s, bases[first]); next != bases[last+1] && last >= first {
				t.Errorf("%s: it holds appends up to %d, not %d", m.op, next, bases[last+1])
			}
		}
		q := &pair{t: t, writer: p.writer, w: p.w, o: p.o, disk: m.disk, store: s, n: p.n, sizes: p.sizes}
		q.follow()
		if last == had {
			q.skip(first, at)
		}
		q.ship(r, all)
		if n := q.sync(); n != all {
			t.Errorf("%s: it comes up to %d of %d", m.op, n, all)
		}
		if next := q.checkFrom(s, bases[first]); next != p.n {
			t.Errorf("%s: it holds appends up to %d of %d", m.op, next, p.n)
		}
		s.Close()
	}
	if before == 0 || after == 0 {
		t.Errorf("%d crashes before the skip, %d after", before, after)
	}
}

// TestCursorWhileFilesAreTrimmed: a cursor returns entries as they were written, or ErrGone;
// then First returns where the rest begins.
func TestCursorWhileFilesAreTrimmed(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 1))
	p.write(r, 300)
	j, all := p.w.ID(), p.w.Committed()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for n := uint64(1); n <= all; n++ {
			p.writer.Trim(j, n)
			p.writer.janitor.work.Set()
		}
	}()
	var last uint64
	for after, skips := uint64(0), 0; after < all; {
		c, err := p.writer.Cursor(j, after)
		var run Run
		if err == nil {
			run, err = c.Next(all, 16<<10)
		}
		if errors.Is(err, ErrGone) {
			first, _, err := p.writer.First(j)
			if err != nil || first <= after+1 || skips > int(all) {
				t.Fatalf("no entry behind %d, the first is %d: %v", after, first, err)
			}
			after = first - 1
			skips++
			continue
		}
		if err != nil || run.First != after+1 {
			t.Fatalf("entry %d behind %d: %v", run.First, after, err)
		}
		after, last = run.Last, run.Last
		run.Release()
	}
	<-gone
	if last != all {
		t.Errorf("it ends with %d, not %d", last, all)
	}
}

// FuzzMeta: what is read from a meta file is the same after it was written and read again.
func FuzzMeta(f *testing.F) {
	for _, m := range []meta{{version: 1}, {version: 2, fence: 3, fileBytes: 8192}, {version: 3, sealed: true, end: 9, floor: floor{4, First}}} {
		b := m.encode()
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(b, 0, 0, 0, 0)
		crc := sum(b[:len(b)-4])
		for i := range 4 {
			b[len(b)-4+i] = byte(crc >> (8 * i))
		}
		var m meta
		var err error
		workbound.Check(t, len(b), func() { m, err = decodeMeta(b) })
		if err != nil {
			return
		}
		if m.floor.first > 0 && m.floor.at.off() != blockBytes {
			t.Errorf("%+v", m)
		}
		if again, err := decodeMeta(m.encode()); err != nil || again != m {
			t.Errorf("%+v, then %+v: %v", m, again, err)
		}
	})
}
