package partition

import (
	"testing"

	"varve/internal/id"
	"varve/kafka"
)

// Promise 7: a read that finds no memory for copies takes little. Batches may be tiny, and many.
func TestPlanOfTinyBatchesTakesLittle(t *testing.T) {
	b := newBench(t)
	b.now = 10_000
	b.deps.Local = &trimmed{Local: b.deps.Local} // nothing is in the cache
	b.deps.Copies = NewCopies(1 << 20)
	p := b.take(settings())
	const batches = 20_000
	done := make(results, batches)
	tiny := timed(kafka.None, 100)
	var size int64
	for range batches {
		one := append(kafka.Batch(nil), tiny...)
		size += int64(len(one))
		if err := p.Append(t.Context(), one, 1, id.NoEpoch, done); err != nil {
			t.Fatal(err)
		}
	}
	for range batches {
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}
	}
	if !b.deps.Copies.take(1 << 20) { // others have copied all that may be copied
		t.Fatal("no room")
	}
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d, _, _, err := p.ReadNear(Reading{Limit: 55 << 20, Epoch: id.NoEpoch})
			if err != nil || d.Bytes > 0 {
				b.Fatalf("%d bytes, %v", d.Bytes, err)
			}
		}
	})
	if n := r.AllocedBytesPerOp(); n > 64<<10 {
		t.Errorf("a read that returns nothing takes %d KiB, for %d KiB of records in %d batches", n>>10, size>>10, batches)
	}
}

// A batch that is as large as what may be copied is read in the end, though others that copy a
// little never stop.
func TestLargeBatchesAreCopiedBesideSmallOnes(t *testing.T) {
	c := NewCopies(8 << 20)
	const little = 16 << 10
	held := 0
	for range 100_000 {
		for held < 3 && c.take(little) { // three readers of little, each of which goes on at once
			held++
		}
		if c.take(8 << 20) {
			return
		}
		c.give(little)
		held--
	}
	t.Error("the large batch was never copied")
}
