package read

import (
	"sync"
	"sync/atomic"
	"testing"

	"varve/kafka"
)

// Promise 7: blocks that are decompressed at the same time stay within the budget, or near it,
// however many fetches there are: each fetch reads up to eight partitions at once.
func TestDecompressedBlocksStayWithinTheBudget(t *testing.T) {
	const readers, size = 400, 400 << 10
	cfg := testConfig()
	cfg.reader.MemoryBytes, cfg.reader.ReadaheadBytes = 12<<20, 0
	w := newWorld(t, cfg)
	for i := range readers {
		batch, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: 1, Value: make([]byte, size)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.Source(1, int32(i)).Produce(batch, 0, w.Now.Millis())
	}
	w.Flush()
	for _, s := range w.Sources { // their indexes, and the few chunks in which all of it is, are cached
		if d, err := w.reader.Read(t.Context(), s.Head(), s.ID, 0, 1); err == nil {
			d.Release()
		}
	}
	var most atomic.Int64
	evict := w.reader.parts.memory.evict
	w.reader.parts.memory.evict = func(over int64) {
		for used := over + cfg.reader.MemoryBytes; ; {
			if was := most.Load(); used <= was || most.CompareAndSwap(was, used) {
				break
			}
		}
		evict(over)
	}
	var all sync.WaitGroup
	begin := make(chan struct{})
	for _, s := range w.Sources {
		all.Go(func() {
			<-begin
			if d, err := w.reader.Read(t.Context(), s.Head(), s.ID, 0, 1<<20); err == nil {
				d.Release()
			}
		})
	}
	close(begin)
	all.Wait()
	if n := most.Load(); n > 2*cfg.reader.MemoryBytes {
		t.Errorf("%d MiB were in use, the budget is %d MiB", n>>20, cfg.reader.MemoryBytes>>20)
	}
}
