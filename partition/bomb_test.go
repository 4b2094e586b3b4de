package partition

import (
	"context"
	"errors"
	"testing"

	"varve/internal/id"
	"varve/kafka"
)

// A request whose small batches hold much is refused after a bounded amount of work, also
// when each of its batches would be allowed.
func TestBombsOfARequestAreBounded(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	bomb, err := kafka.Build(kafka.Zstd, []kafka.NewRecord{{Timestamp: b.now, Value: make([]byte, 60<<20)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	work := kafka.NewWork(1000)
	ctx := context.WithValue(t.Context(), kafka.WorkKey{}, &work)
	taken := 0
	for ; taken < 40; taken++ {
		copied := append(kafka.Batch{}, bomb...)
		if err = p.Append(ctx, copied, b.now, id.NoEpoch, make(results, 1)); err != nil {
			break
		}
	}
	if !errors.Is(err, kafka.ErrTooLarge) || taken != 17 {
		t.Errorf("%d batches of 60 MiB each were taken, then %v", taken, err)
	}
	if err := p.Append(ctx, newBatch(3, -1, -1, -1), b.now, id.NoEpoch, make(results, 1)); err != nil {
		t.Errorf("a plain batch after them: %v", err)
	}
	if err := p.Append(t.Context(), append(kafka.Batch{}, bomb...), b.now, id.NoEpoch, make(results, 1)); err != nil {
		t.Errorf("of another request: %v", err)
	}
}

// A header that counts more records than any batch holds is refused also where records
// aren't read: offsets would run away.
func TestCountsAreBounded(t *testing.T) {
	b := newBench(t)
	b.deps.TrustHeaders = true
	p := b.take(settings())
	batch, err := kafka.Build(kafka.Gzip, []kafka.NewRecord{{Timestamp: b.now}}, func(b kafka.Batch) {
		b[57], b[23] = 0x7f, 0x7f // and the last offset delta
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := appendBatch(p, batch); !errors.Is(r.err, kafka.ErrInvalidRecord) {
		t.Errorf("%+v", r)
	}
}
