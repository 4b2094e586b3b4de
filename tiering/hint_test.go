package tiering

import (
	"math"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
)

// believed makes the world's agent one of those that believed the headers of producers: its
// objects have low numbers, and their timestamps are what the headers said.
func (w *world) believed() {
	w.names.mu.next = 1
}

// misled is a batch whose header says that its newest record is of a time.
func misled(t testing.TB, says int64, times ...int64) kafka.Batch {
	rs := make([]kafka.NewRecord, len(times))
	for i := range rs {
		rs[i] = kafka.NewRecord{Timestamp: times[i], Value: []byte("v")}
	}
	b, err := kafka.Build(kafka.Zstd, rs, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.SetMaxTimestamp(says, false)
	return b
}

const day = 86_400_000

// Objects of agents that believed the headers of producers lose no record by retention, and
// none to look-ups by time, however deep in a manifest they lie. What is old goes.
func TestHintsLoseNothing(t *testing.T) {
	for _, deep := range []bool{false, true} {
		w := newWorld(t, testConfig())
		w.believed()
		w.now.set(100 * day)
		now := w.now.ms()
		s := w.source(1, 0)
		keep := Retention{Ms: 7 * day, Bytes: -1}
		k := w.keeper(&keep, nil)
		add := func(b kafka.Batch) {
			s.produce(b, 0, now)
			s.mu.batches[len(s.mu.batches)-1].TimeKnown = true // as that agent took it
			w.flush()
		}
		add(misled(t, now-20*day, now-20*day, now-20*day, now-20*day)) // all old
		add(misled(t, now-19*day, now-20*day, now, now-19*day))        // one is new
		if deep {
			for range metadata.MaxHeadSlices + 5 {
				add(misled(t, now-19*day, now-19*day))
			}
			if s.Head().Manifest.Slices == 0 {
				t.Fatal("nothing is in the manifest")
			}
		}
		w.names.mu.next = metadata.FirstTimed // the agent begins anew, as one that reads records
		s.produce(misled(t, now-19*day, now-18*day, now+1), 0, now)
		w.flush()
		if last := s.Head().Slices[len(s.Head().Slices)-1]; last.MaxTime != now+1 || !last.Object.TimesKnown() {
			t.Errorf("the newest slice is stored with %+v", last)
		}
		end := s.Head().TieredEnd

		find := func(at int64) int64 {
			found, ok, err := w.reader.FindTime(t.Context(), s.Head(), s.id, at)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return -1
			}
			return found.Offset
		}
		if got := find(now); got != 4 {
			t.Errorf("deep %v: the first record of now is %d, want 4", deep, got)
		}
		if got := find(now + 1); got != end-1 {
			t.Errorf("deep %v: the first later record is %d, want %d", deep, got, end-1)
		}
		if found, ok, err := w.reader.MaxTime(t.Context(), s.Head(), s.id); err != nil || !ok || found.Offset != end-1 {
			t.Errorf("deep %v: the newest record is %+v, %v, %v", deep, found, ok, err)
		}
		k.Pass(t.Context())
		if got := s.Head().LogStart; got != 3 {
			t.Errorf("deep %v: the log starts at %d, want 3: the first batch goes, the second holds a record of now", deep, got)
		}
		w.now.add(8 * day)
		k.Pass(t.Context())
		if h := s.Head(); h.LogStart != end {
			t.Errorf("deep %v: a week later the log starts at %d of %d", deep, h.LogStart, end)
		}
	}
}

// A page that an agent wrote which believed headers, and one above it that is newer, are both
// hints to those who cut whole pages.
func TestPagesOfHintsAreLookedInto(t *testing.T) {
	old, known := metadata.Object{Writer: 1, Seq: 9}, metadata.Object{Writer: 2, Seq: metadata.FirstTimed}
	slice := metadata.Slice{Object: old, Base: 0, End: 10, MinTime: 5, MaxTime: 5, IndexLen: 1}
	leaf := &page{Slices: []metadata.Slice{slice}}
	for _, at := range []metadata.Object{old, known} {
		c := leaf.sum()
		c.Page = metadata.Page{Object: at, Len: 9}
		above := &page{Partition: id.Partition{}, Level: 1, Children: []child{c}}
		read, err := decodePage(above.encode())
		if err != nil {
			t.Fatal(err)
		}
		cut := newCutter(Retention{Ms: 1, Bytes: -1}, 0, 0, math.MaxInt32, nil)
		if k := read.Children[0]; !k.hint || cut.whole(k.span, 1) {
			t.Errorf("page %v: %+v is taken for known", at, k)
		}
	}
}
