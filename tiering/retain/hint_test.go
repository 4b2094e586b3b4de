package retain

import (
	"math"
	"testing"

	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/manifest"
)

// misled is a batch with a header that claims a time for its newest record.
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
// none to look-ups by time, however deep in a manifest they are. What is old goes.
func TestHintsLoseNothing(t *testing.T) {
	for _, deep := range []bool{false, true} {
		w := newWorld(t, testConfig())
		// The agent is one of those that believed the headers of producers: its objects have low
		// numbers, and their timestamps are what the headers said.
		reads := w.IDs
		w.IDs = manifest.NewObjectIDs(reads.Writer(), 1)
		w.begin(testConfig())
		w.Now.Set(100 * day)
		now := w.Now.Millis()
		s := w.Source(1, 0)
		s.Alter(func() { s.Mu.TimeKnown = true }) // as that agent took them
		keep := Limits{Ms: 7 * day, Bytes: -1}
		k := w.retention(&keep, nil)
		add := func(b kafka.Batch) {
			s.Produce(b, 0, now)
			w.Flush()
		}
		add(misled(t, now-20*day, now-20*day, now-20*day, now-20*day)) // all old
		add(misled(t, now-19*day, now-20*day, now, now-19*day))        // one is new
		if deep {
			for range schema.MaxHeadSlices + 5 {
				add(misled(t, now-19*day, now-19*day))
			}
			if s.Head().Manifest.Slices == 0 {
				t.Fatal("nothing is in the manifest")
			}
		}
		w.Cancel()
		w.IDs = reads // the agent begins anew, as one that reads records
		s.Alter(func() { s.Mu.TimeKnown = false })
		w.begin(testConfig())
		s.Produce(misled(t, now-19*day, now-18*day, now+1), 0, now)
		w.Flush()
		if last := s.Head().Slices[len(s.Head().Slices)-1]; last.MaxTime != now+1 || !last.Object.TimesKnown() {
			t.Errorf("the newest slice is stored with %+v", last)
		}
		end := s.Head().TieredEnd

		find := func(at int64) int64 {
			found, ok, err := w.reader.FindTime(t.Context(), s.Head(), s.ID, at)
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
		if found, ok, err := w.reader.MaxTime(t.Context(), s.Head(), s.ID); err != nil || !ok || found.Offset != end-1 {
			t.Errorf("deep %v: the newest record is %+v, %v, %v", deep, found, ok, err)
		}
		k.Pass(t.Context())
		if got := s.Head().LogStart; got != 3 {
			t.Errorf("deep %v: the log starts at %d, want 3: the first batch goes, the second holds a record of now", deep, got)
		}
		w.Now.Add(8 * day)
		k.Pass(t.Context())
		if h := s.Head(); h.LogStart != end {
			t.Errorf("deep %v: a week later the log starts at %d of %d", deep, h.LogStart, end)
		}
	}
}

// What is only a hint is looked into, and never cut as a whole page.
func TestPagesOfHintsAreLookedInto(t *testing.T) {
	cut := newCutter(Limits{Ms: 1, Bytes: -1}, 0, 0, math.MaxInt32, nil)
	old := manifest.Span{End: 10, MinTime: 5, MaxTime: 5}
	hint := old
	hint.Hint = true
	if cut.whole(hint, 1) || !cut.whole(old, 1) {
		t.Error("a hint is taken for known, or what is known for a hint")
	}
}
