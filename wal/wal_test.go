package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/internal/workbound"
)

// small is a config with which new files and evictions are frequent.
func small() Config {
	c := DefaultConfig()
	c.Dir, c.FileBytes, c.ChunkBytes, c.CacheBytes = "j", 256<<10, 64<<10, 256<<10
	c.KeepBytes, c.SpareBytes, c.SoftBytes, c.HardBytes, c.ReserveBytes = 0, 1<<20, 1<<20, 1<<40, 0
	return c
}

var discard = slog.New(slog.DiscardHandler)

func openStore(t testing.TB, cfg Config, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(cfg, Options{FS: fs, Log: discard, Fatal: func(err error) { t.Logf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func createJournal(t testing.TB, s *Store, writer id.Incarnation) *Writer {
	t.Helper()
	j := id.Journal{Writer: writer, Seq: 1}
	if err := s.Join(j, Membership{FileBytes: s.FileBytes()}); err != nil {
		t.Fatal(err)
	}
	w, err := s.Create(j, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// outcome collects what owners were told.
type outcome struct {
	mu   sync.Mutex
	pos  map[int64]Pos // by base offset
	last int64
	err  error
	n    sync.WaitGroup

	number uint64 // of the entry that was told last
}

// shown waits until the owners were told, and until Committed returns the last entry, which it
// does after that.
func (o *outcome) shown(w *Writer) {
	o.n.Wait()
	o.mu.Lock()
	number := o.number
	o.mu.Unlock()
	for w.Committed() < number && w.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

type owner struct {
	o    *outcome
	base int64
}

func newOutcome() *outcome { return &outcome{pos: map[int64]Pos{}, last: -1} }

func (o owner) Committed(_ id.Journal, pos Pos, number uint64) {
	o.o.mu.Lock()
	defer o.o.mu.Unlock()
	if o.base != o.o.last+1 {
		o.o.err = fmt.Errorf("append %d told after %d", o.base, o.o.last)
	}
	o.o.last, o.o.number = o.base, number
	o.o.pos[o.base] = pos
	o.o.n.Done()
}

func (o owner) Failed(err error) {
	o.o.mu.Lock()
	o.o.err = err
	o.o.mu.Unlock()
	o.o.n.Done()
}

// body makes recognizable bytes for append n.
func body(n int64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(n) + byte(i)
	}
	binary.BigEndian.PutUint64(b, uint64(n))
	return b
}

// add appends number n of the size, waiting for room.
func (o *outcome) add(t testing.TB, w *Writer, n int64, size int) error {
	b := body(n, size)
	return o.append(w, &Record{Base: n, Count: 1, BodyCRC: sum(b[BodySumFrom:]), ProducerID: -1}, b)
}

// append appends, and waits for room if it must.
func (o *outcome) append(w *Writer, rec *Record, b []byte) error {
	o.n.Add(1)
	for {
		room := w.Room()
		err := w.Append(rec, b, owner{o, rec.Base})
		if err == nil {
			return nil
		}
		if !IsBusy(err) {
			o.n.Done()
			return err
		}
		if err := w.Wait(context.Background(), room); err != nil {
			o.n.Done()
			return err
		}
	}
}

func TestAppendsAreReadBackFromMemoryAndDisk(t *testing.T) {
	s := openStore(t, small(), vfs.NewMemory())
	defer s.Close()
	w := createJournal(t, s, 1)
	o := newOutcome()
	r := rand.New(rand.NewPCG(1, 1))
	sizes := make([]int, 600)
	for i := range sizes {
		sizes[i] = 30 + r.IntN(9000)
		if err := o.add(t, w, int64(i), sizes[i]); err != nil {
			t.Fatal(err)
		}
	}
	o.n.Wait()
	if o.err != nil {
		t.Fatal(o.err)
	}
	inMemory := 0
	for i, size := range sizes {
		got := make([]byte, size)
		if err := s.ReadAt(w.ID(), got, o.pos[int64(i)]); err != nil || !bytes.Equal(got, body(int64(i), size)) {
			t.Fatalf("append %d: %v", i, err)
		}
		if v, ok := s.cache.view(w.ID(), o.pos[int64(i)], size); ok {
			inMemory++
			if !bytes.Equal(v.Bytes, got) {
				t.Fatalf("append %d differs in memory", i)
			}
			v.Release()
		}
	}
	if inMemory == 0 || inMemory == len(sizes) {
		t.Errorf("%d of %d appends were in memory; the test wants both", inMemory, len(sizes))
	}
	w.Close()
}

func TestLargeAppendsGetAChunkOfTheirOwn(t *testing.T) {
	s := openStore(t, small(), vfs.NewMemory())
	defer s.Close()
	w := createJournal(t, s, 1)
	defer w.Close()
	o := newOutcome()
	for i, size := range []int{100, 200 << 10, 100, s.cfg.MaxAppendBytes(), 50} {
		if err := o.add(t, w, int64(i), size); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := o.add(t, w, 9, s.cfg.MaxAppendBytes()+1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	o.n.Wait()
	got := make([]byte, 200<<10)
	if err := s.ReadAt(w.ID(), got, o.pos[1]); err != nil || !bytes.Equal(got, body(1, len(got))) {
		t.Fatal(err)
	}
}

// TestCrashKeepsWhatWasCommitted is promise 1 for one store: after a loss of
// power at any moment, every committed append is there, in order and intact,
// and nothing that was not appended.
func TestCrashKeepsWhatWasCommitted(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		mem := vfs.NewMemory()
		s := openStore(t, small(), mem)
		w := createJournal(t, s, 1)
		o := newOutcome()
		n := 20 + r.IntN(400)
		sizes := make([]int, n)
		for i := range n {
			sizes[i] = 30 + r.IntN(12000)
			if err := o.add(t, w, int64(i), sizes[i]); err != nil {
				t.Fatal(err)
			}
		}
		o.mu.Lock()
		told := o.last // what is told later may be lost by a crash now
		o.mu.Unlock()
		crashed := mem.Crash(r)
		s2 := openStore(t, small(), crashed)
		last, err := s2.Recover(w.ID())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		next := int64(0)
		err = s2.Entries(w.ID(), func(e *Entry) error {
			for i := range e.Records {
				rec := &e.Records[i]
				if rec.Base != next {
					return fmt.Errorf("append %d where %d should be", rec.Base, next)
				}
				got := make([]byte, rec.Size)
				if err := s2.ReadAt(w.ID(), got, e.Place(rec)); err != nil {
					return err
				}
				if !bytes.Equal(got, body(next, sizes[next])) {
					return fmt.Errorf("append %d differs", next)
				}
				next++
			}
			return nil
		})
		if err != nil {
			t.Fatalf("seed %d: %v (last entry %d)", seed, err, last)
		}
		if next <= told {
			t.Fatalf("seed %d: %d appends recovered, %d had been acknowledged", seed, next, told+1)
		}
		w.Close()
		s.Close()
		s2.Close()
	}
}

func TestDamageBeforeTheEndIsNoTornTail(t *testing.T) {
	mem := vfs.NewMemory()
	s := openStore(t, small(), mem)
	w := createJournal(t, s, 1)
	o := newOutcome()
	for i := range 5 {
		if err := o.add(t, w, int64(i), 5000); err != nil {
			t.Fatal(err)
		}
		o.n.Wait() // an entry each
	}
	damaged := mem.Crash(rand.New(rand.NewPCG(1, 1)))
	w.Close()
	s.Close()
	f, err := damaged.Open("j/"+fileName(w.ID(), 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	one := []byte{0}
	at := o.pos[2].off() + 4000
	if _, err := f.ReadAt(one, at); err != nil {
		t.Fatal(err)
	}
	one[0] ^= 0x40
	if _, err := f.WriteAt(one, at); err != nil {
		t.Fatal(err)
	}
	s2 := openStore(t, small(), damaged)
	defer s2.Close()
	var corrupt *CorruptError
	if last, err := s2.Recover(w.ID()); !errors.As(err, &corrupt) {
		t.Fatalf("recovered up to %d, %v", last, err)
	}
}

func TestTrimmedFilesAreRecycledAndTheBudgetHolds(t *testing.T) {
	cfg := small()
	cfg.HardBytes = 4 * cfg.FileBytes
	cfg.SoftBytes = 2 * cfg.FileBytes
	mem := vfs.NewMemory()
	s := openStore(t, cfg, mem)
	defer s.Close()
	w := createJournal(t, s, 1)
	defer w.Close()
	o := newOutcome()
	n := int64(0)
	full := func() error {
		for range 1000 {
			if err := o.add(t, w, n, 8000); err != nil {
				return err
			}
			n++
		}
		return nil
	}
	if err := full(); !errors.Is(err, ErrFull) {
		t.Fatalf("after %d appends: %v", n, err)
	}
	o.shown(w)
	if got := len(mem.Names(suffixFile)); got != 4 {
		t.Errorf("%d files on disk, 4 are allowed", got)
	}
	if s.Pressure() != 1 {
		t.Errorf("pressure is %v", s.Pressure())
	}
	first := o.pos[0]
	before := n
	s.Trim(w.ID(), w.Committed())
	for n < before+10 {
		room := w.Room()
		if err := o.add(t, w, n, 8000); errors.Is(err, ErrFull) {
			if err := w.Wait(t.Context(), room); err != nil {
				t.Fatal(err)
			}
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
	o.n.Wait()
	if err := s.ReadAt(w.ID(), make([]byte, 8000), first); !errors.Is(err, ErrGone) {
		t.Errorf("a recycled place reads as %v", err)
	}
	if _, ok := s.cache.view(w.ID(), first, 8000); ok {
		t.Error("a place trimmed long ago is still in memory")
	}
}

func TestFailedSyncEndsTheJournal(t *testing.T) {
	mem := vfs.NewMemory()
	var broken atomic.Bool
	mem.Fault = func(op, name string) error {
		if op == "sync" && broken.Load() {
			return errors.New("I/O error")
		}
		return nil
	}
	died := make(chan error, 1)
	s, err := Open(small(), Options{FS: mem, Log: discard, Fatal: func(err error) { died <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := createJournal(t, s, 1)
	defer w.Close()
	o := newOutcome()
	if err := o.add(t, w, 0, 100); err != nil {
		t.Fatal(err)
	}
	o.n.Wait()
	broken.Store(true)
	if err := o.add(t, w, 1, 100); err != nil {
		t.Fatal(err)
	}
	o.n.Wait()
	if o.err == nil || o.last != 0 {
		t.Errorf("told %d, %v", o.last, o.err)
	}
	if err := <-died; err == nil {
		t.Error("nobody was told to die")
	}
	if err := o.add(t, w, 2, 100); !errors.Is(err, ErrClosed) {
		t.Errorf("append after that: %v", err)
	}
}

func TestStoreRemembersMembershipFenceAndSeal(t *testing.T) {
	mem := vfs.NewMemory()
	s := openStore(t, small(), mem)
	w := createJournal(t, s, 3)
	o := newOutcome()
	if err := o.add(t, w, 0, 100); err != nil {
		t.Fatal(err)
	}
	o.n.Wait()
	w.Close()
	if _, err := s.Fence(w.ID(), 9); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fence(w.ID(), 8); !errors.Is(err, ErrFenced) {
		t.Errorf("a lower fence: %v", err)
	}
	if err := s.Seal(w.ID(), 1); err != nil {
		t.Fatal(err)
	}
	was := s.ID()
	s.Close()
	s = openStore(t, small(), mem.Crash(rand.New(rand.NewPCG(5, 5))))
	defer s.Close()
	if s.ID() != was {
		t.Error("another store id")
	}
	if _, err := s.Fence(w.ID(), 8); !errors.Is(err, ErrFenced) {
		t.Errorf("a lower fence after the crash: %v", err)
	}
	if end, ok := s.Sealed(w.ID()); !ok || end != 1 {
		t.Errorf("sealed at %d, %v", end, ok)
	}
	if err := s.Seal(w.ID(), 2); err == nil {
		t.Error("sealed at another end")
	}
	if _, err := s.Recover(id.Journal{Writer: 99, Seq: 1}); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown journal: %v", err)
	}
	s.Drop(w.ID())
	s.janitor.recycler.run()
	if left := s.Journals(); len(left) != 0 {
		t.Errorf("%v left after the drop", left)
	}
}

// TestDropAfterClose: a file that is being prepared when the journal is dropped
// must not outlive the journal's meta file.
func TestDropAfterClose(t *testing.T) {
	for seed := range uint64(30) {
		mem := vfs.NewMemory()
		s := openStore(t, small(), mem)
		w := createJournal(t, s, 1)
		o := newOutcome()
		r := rand.New(rand.NewPCG(seed, 1))
		for i := range 20 + r.IntN(60) {
			if err := o.add(t, w, int64(i), 8000); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		if err := s.Seal(w.ID(), w.Committed()); err != nil {
			t.Fatal(err)
		}
		s.Drop(w.ID())
		s.Close()
		openStore(t, small(), mem).Close()
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	mem := vfs.NewMemory()
	s := openStore(t, small(), mem)
	if _, err := Open(small(), Options{FS: mem, Log: discard}); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	s.Close()
	openStore(t, small(), mem).Close()
}

func FuzzEntry(f *testing.F) {
	mem := vfs.NewMemory()
	s := openStore(f, small(), mem)
	w := createJournal(f, s, 1)
	o := newOutcome()
	if err := o.add(f, w, 0, 100); err != nil {
		f.Fatal(err)
	}
	o.n.Wait()
	w.Close()
	seed, err := vfs.ReadFile(mem, "j/"+fileName(w.ID(), 0), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	s.Close()
	f.Add(seed[blockBytes:2*blockBytes], true)
	f.Add(seed[:blockBytes], false)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) >= entryHeaderBytes { // past the checksums
			le := binary.LittleEndian
			at, n := le.Uint32(b[48:]), le.Uint32(b[52:])
			if uint64(at)+uint64(n) <= uint64(len(b)) {
				le.PutUint32(b[56:], sum(b[at:at+n]))
			}
			le.PutUint32(b[60:], sum(b[:60]))
		}
		workbound.Check(t, len(b), func() {
			h, err := parseHeader(b, int64(len(b)))
			if err != nil {
				return
			}
			if records, err := parseDirectory(nil, &h, b[h.dirAt:h.dirAt+h.dirLen]); err == nil {
				_ = checkBodies(b, records)
			}
		})
		_, _, _, _ = parseFileHeader(b)
		_, _ = decodeMeta(b)
		_ = eachEntry(b, func(*Entry) error { return nil })
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		for _, direct := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dKiB/direct=%v", size>>10, direct), func(b *testing.B) {
				cfg := DefaultConfig()
				cfg.Dir, cfg.Direct, cfg.KeepBytes = b.TempDir(), direct, 0
				s := openStore(b, cfg, vfs.OS{})
				defer s.Close()
				w := createJournal(b, s, 1)
				defer w.Close()
				o := newOutcome()
				o.pos = nil
				data := body(0, size)
				rec := Record{BodyCRC: sum(data[BodySumFrom:])}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var wait sync.WaitGroup
				for b.Loop() {
					for {
						room := w.Room()
						wait.Add(1)
						err := w.Append(&rec, data, (*counter)(&wait))
						if err == nil {
							break
						}
						wait.Done()
						s.Trim(w.ID(), w.Committed())
						if !IsBusy(err) && !errors.Is(err, ErrFull) {
							b.Fatal(err)
						}
						if err := w.Wait(context.Background(), room); err != nil {
							b.Fatal(err)
						}
					}
				}
				wait.Wait()
			})
		}
	}
}

type counter sync.WaitGroup

func (c *counter) Committed(id.Journal, Pos, uint64) { (*sync.WaitGroup)(c).Done() }
func (c *counter) Failed(error)                      { (*sync.WaitGroup)(c).Done() }
