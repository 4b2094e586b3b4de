package read

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

// fresh replaces the reader, so that nothing is cached.
func (w *world) fresh() {
	w.reader.Close()
	w.reader = New(w.Store, testConfig().reader, nil)
}

// walkAll lists a partition's slices.
func (w *world) walkAll(s *tiertest.Source) (all []schema.Slice) {
	w.T.Helper()
	err := manifest.Walk(w.T.Context(), w.reader, s.Head(), s.ID, -1, func(manifest.Span) bool { return true }, func(s *schema.Slice) error {
		all = append(all, *s)
		return nil
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return all
}

func (w *world) skipper() *Skipper {
	return NewSkipper(w.reader, SkipDeps{Store: w.Store, IDs: w.IDs, Topic: func(id.Topic) string { return "t" }, Clock: w.Now.Millis,
		Dropped: func([]schema.Object) {}, Log: slog.New(slog.DiscardHandler)})
}

// readWhole reads all batches; it fails where offsets are not dense.
func (w *world) readWhole(s *tiertest.Source) (batches []kafka.Batch) {
	w.T.Helper()
	all, next := w.ReadAll(s, s.Head().LogStart, 1<<20), s.Head().LogStart
	for len(all) > 0 {
		b, rest, err := kafka.Next(all)
		if err != nil || b.BaseOffset() != next || b.CheckCRC() != nil {
			w.T.Fatalf("after %d comes %d, %v", next, b.BaseOffset(), err)
		}
		batches, all, next = append(batches, b), rest, b.NextOffset()
	}
	if next != s.Head().TieredEnd {
		w.T.Fatalf("read up to %d of %d", next, s.Head().TieredEnd)
	}
	return batches
}

// damaging is what may happen to objects, and what then can't be read.
var damaging = map[string]func(w *world, s *tiertest.Source, all []schema.Slice) (from, to int64){
	"gone from the head": func(w *world, s *tiertest.Source, all []schema.Slice) (int64, int64) {
		x := all[len(all)-5]
		w.Lose(object.Key(x.Object))
		return x.Base, x.End
	},
	"the newest is gone": func(w *world, s *tiertest.Source, all []schema.Slice) (int64, int64) {
		x := all[len(all)-1]
		w.Lose(object.Key(x.Object))
		return x.Base, x.End
	},
	"gone from the manifest": func(w *world, s *tiertest.Source, all []schema.Slice) (int64, int64) {
		w.Lose(object.Key(all[3].Object))
		w.Lose(object.Key(all[4].Object))
		return all[3].Base, all[4].End
	},
	"swapped": func(w *world, s *tiertest.Source, all []schema.Slice) (int64, int64) {
		other := w.ObjectBytes(object.Key(all[7].Object))
		if err := w.Bucket.Put(w.T.Context(), object.Key(all[5].Object), bytes.NewReader(append(other, make([]byte, 1<<10)...))); err != nil {
			w.T.Fatal(err)
		}
		return all[5].Base, all[5].End
	},
	"a page is gone": func(w *world, s *tiertest.Source, all []schema.Slice) (int64, int64) {
		m := s.Head().Manifest
		w.Lose(object.PageKey(m.Root.Object))
		return m.Base, m.End
	},
}

// TestHoleIsSkipped: what can't be read is named exactly, everything else is read; after it
// was skipped readers get batches without records in its place, and nothing else changes.
func TestHoleIsSkipped(t *testing.T) {
	for name, damage := range damaging {
		t.Run(name, func(t *testing.T) {
			w, s := tiered(t, testConfig(), 70, 2, 3, 100) // more than a head keeps
			before, all := w.readWhole(s), w.walkAll(s)
			from, to := damage(w, s, all)
			w.fresh()
			var hole *object.HoleError
			for offset := s.Head().LogStart; offset < s.Head().TieredEnd; {
				d, err := w.reader.Read(t.Context(), s.Head(), s.ID, offset, 1<<20)
				if in := offset >= from && offset < to; in != (err != nil) || in && !errors.As(err, &hole) {
					t.Fatalf("at %d: %v", offset, err)
				} else if in && (offset < hole.From || hole.To > to || hole.From < from) {
					t.Fatalf("at %d: %+v", offset, hole)
				} else if in {
					d.Next = hole.To
				}
				offset = d.Next
				d.Release()
			}
			if looked := w.look(s); name != "swapped" && (len(looked) == 0 || looked[0].From != from || looked[len(looked)-1].To != to) {
				t.Errorf("%+v", looked)
			}

			k := w.skipper()
			if _, err := k.Skip(t.Context(), s, from+1, to); !errors.Is(err, ErrReadable) {
				t.Errorf("a part of it: %v", err)
			}
			if gone, err := k.Skip(t.Context(), s, from, to); err != nil || gone[0].From != from || gone[len(gone)-1].To != to {
				t.Fatalf("%+v, %v", gone, err)
			}
			w.fresh()
			after := w.readWhole(s)
			outside := func(list []kafka.Batch) []kafka.Batch {
				return slices.DeleteFunc(slices.Clone(list), func(b kafka.Batch) bool { return b.BaseOffset() >= from && b.BaseOffset() < to })
			}
			if x, y := outside(before), outside(after); !slices.EqualFunc(x, y, func(a, b kafka.Batch) bool { return bytes.Equal(a, b) }) {
				t.Errorf("%d batches became %d", len(x), len(y))
			}
			for _, b := range after {
				if b.BaseOffset() >= from && b.NextOffset() <= to && b.Count() != 0 {
					t.Errorf("%d to %d has records", b.BaseOffset(), b.NextOffset())
				}
			}
			if looked := w.look(s); len(looked) > 0 {
				t.Errorf("still %+v", looked)
			}
			k = w.skipper()
			if _, err := k.Skip(t.Context(), s, from, to); !errors.Is(err, ErrReadable) {
				t.Errorf("again: %v", err)
			}
			if _, err := w.reader.Producers(t.Context(), s.Head(), s.ID); err != nil {
				t.Error(err)
			}
			s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 3, 100, 9_000), 9, w.Now.Millis())
			w.Flush()
			w.readWhole(s)
		})
	}
}

// look is what asking for every object finds, in order.
func (w *world) look(s *tiertest.Source) (all []*object.HoleError) {
	w.T.Helper()
	var mu sync.Mutex
	var looked int64
	err := w.reader.NewLooker().Look(w.T.Context(), s.Head(), s.ID, func(n int64) { mu.Lock(); looked += n; mu.Unlock() }, func(e *object.HoleError) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, e)
	})
	if err != nil {
		w.T.Fatal(err)
	}
	if want := s.Head().Manifest.Slices + int64(len(s.Head().Slices)); looked != want {
		w.T.Errorf("looked at %d slices of %d", looked, want)
	}
	slices.SortFunc(all, func(x, y *object.HoleError) int { return int(x.From - y.From) })
	return all
}

// TestDamagedBlock: of an object with one bad block the rest is read, and stays when the
// block is skipped.
func TestDamagedBlock(t *testing.T) {
	w, s := tiered(t, testConfig(), 1, 40, 2, 60_000)
	before, x := w.readWhole(s), w.walkAll(s)[0]
	index, err := w.reader.parts.index(t.Context(), &x)
	if err != nil || len(index.Blocks) < 4 {
		t.Fatalf("%+v, %v", index, err)
	}
	bad := index.Blocks[2]
	stored := w.ObjectBytes(object.Key(x.Object))
	stored[bad.At+int64(bad.Stored)/2] ^= 1
	if err := w.Bucket.Put(t.Context(), object.Key(x.Object), bytes.NewReader(stored)); err != nil {
		t.Fatal(err)
	}
	w.fresh()
	var hole *object.HoleError
	if _, err := w.reader.Read(t.Context(), s.Head(), s.ID, bad.Base, 1); !errors.As(err, &hole) || hole.From != bad.Base || hole.To != bad.End {
		t.Fatalf("%v", err)
	}
	k := w.skipper()
	if gone, err := k.Skip(t.Context(), s, 0, s.Head().TieredEnd); err != nil || len(gone) != 1 || gone[0].From != bad.Base || gone[0].To != bad.End {
		t.Fatalf("%+v, %v", gone, err)
	}
	w.fresh()
	records := func(list []kafka.Batch) (n int64) {
		for _, b := range list {
			n += int64(b.Count())
		}
		return n
	}
	if lost := records(before) - records(w.readWhole(s)); lost != bad.End-bad.Base {
		t.Errorf("%d records are lost, of %d", lost, bad.End-bad.Base)
	}
}

// TestHolesAreForgotten: a hole is known once, and until its object is back.
func TestHolesAreForgotten(t *testing.T) {
	w, s := tiered(t, testConfig(), 3, 2, 3, 100)
	x := w.walkAll(s)[1]
	kept := w.ObjectBytes(object.Key(x.Object))
	w.Lose(object.Key(x.Object))
	w.fresh()
	read := func(ctx context.Context, _ id.Partition, offset int64) error {
		d, err := w.reader.Read(ctx, s.Head(), s.ID, offset, 1)
		d.Release()
		return err
	}
	var hole *object.HoleError
	if err := read(t.Context(), s.ID, x.Base); !errors.As(err, &hole) {
		t.Fatal(err)
	}
	now := time.Unix(5, 0)
	if !w.reader.FoundHole(hole, now) || w.reader.FoundHole(hole, now) {
		t.Error("it is news once")
	}
	if w.reader.HoleAt(s.ID, x.Base) == nil || w.reader.HoleAt(s.ID, x.End) != nil || w.reader.HoleAt(s.ID, x.Base-1) != nil {
		t.Error("it is elsewhere")
	}
	if over := w.reader.Recheck(t.Context(), read); len(over) != 0 || len(w.reader.Holes()) != 1 {
		t.Errorf("%v", over)
	}
	if err := w.Bucket.Put(t.Context(), object.Key(x.Object), bytes.NewReader(kept)); err != nil {
		t.Fatal(err)
	}
	if over := w.reader.Recheck(t.Context(), read); len(over) != 1 || len(w.reader.Holes()) != 0 {
		t.Errorf("%v", over)
	}
}
