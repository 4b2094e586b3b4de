package agent

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/kafka"
)

// answer is the outcome of one append.
type answer chan struct {
	base int64
	err  error
}

func (a answer) Appended(base int64, err error) {
	a <- struct {
		base int64
		err  error
	}{base, err}
}

// send appends one record of an idempotent producer to the first partition.
func (r *running) send(seq int32) (int64, error) {
	r.t.Helper()
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: r.millis(), Value: []byte("v")}}, func(b kafka.Batch) { b.SetProducer(7, 0, seq) })
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(answer, 1)
	if err := r.owned.All()[0].Append(r.t.Context(), b, r.millis(), id.NoEpoch, done); err != nil {
		return -1, err
	}
	a := <-done
	return a.base, a.err
}

// TestProducersOutliveRecordsAndDisk: after all records were deleted and the disk
// is gone, a producer's late repetition is still recognised, and what follows fits.
func TestProducersOutliveRecordsAndDisk(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	a.produce("t", 0, 10)
	for seq := range int32(3) {
		if base, err := a.send(seq); err != nil || base != 10+int64(seq) {
			t.Fatalf("sequence %d: %d, %v", seq, base, err)
		}
	}
	all := kadm.Offsets{}
	all.AddOffset("t", 0, -1, -1)
	if _, err := kadm.NewClient(a.client()).DeleteRecords(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	w.fs = vfs.NewMemory()
	b := w.start()
	b.tier.keep.Pass(t.Context())
	p := b.owned.All()[0]
	_, tiered := p.Sizes()
	if s := p.State(); s.LogStart != 13 || s.TieredEnd != 13 || tiered != 0 {
		t.Fatalf("%+v, %d bytes in the tier", s, tiered)
	}
	for seq := range int32(5) {
		if base, err := b.send(seq); err != nil || base != 10+int64(seq) {
			t.Errorf("sequence %d: %d, %v", seq, base, err)
		}
	}
	if _, err := b.send(9); err == nil {
		t.Error("a gap in the sequence was accepted")
	}
}
