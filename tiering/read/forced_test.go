package read

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"varve/kafka"
)

// Promise 7: blocks that are decompressed go beyond the budget, so they are few at a time,
// however many fetches there are.
func TestFewBlocksAreDecompressedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig())
		batch, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: 1, Value: make([]byte, 400<<10)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := w.Source(1, 0)
		s.Produce(batch, 0, w.Now.Millis())
		w.Flush()
		read := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			d, err := w.reader.Read(ctx, s.Head(), s.ID, 0, 1<<20)
			d.Release()
			return err
		}
		w.fresh()
		for range 2 * runtime.GOMAXPROCS(0) {
			if err := w.reader.parts.inflating.Acquire(t.Context(), 1); err != nil { // as others do that decompress
				t.Fatal(err)
			}
		}
		if err := read(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more is decompressed: %v", err)
		}
		w.reader.parts.inflating.Release(1)
		if err := read(); err != nil {
			t.Errorf("when another is done: %v", err)
		}
	})
}
