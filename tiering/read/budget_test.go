package read

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"varve/kafka"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

// The budget holds however many read at once and however slowly they release, and
// everybody is served in the end.
func TestMemoryBudget(t *testing.T) {
	cfg := testConfig()
	cfg.upload.SegmentBytes = 1 << 20
	cfg.reader.MemoryBytes, cfg.reader.ReadaheadBytes = 2<<20, 1<<20
	w := newWorld(t, cfg)
	rng := tiertest.Rand(5)
	for i := range 6 {
		s := w.Source(1, int32(i))
		for range 60 {
			s.Produce(tiertest.RandomBatch(t, rng, kafka.Codec(i%2*3), 1, 50<<10, 1), 0, w.Now.Millis())
		}
	}
	w.Flush()
	var most atomic.Int64
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			s := w.Sources[i%len(w.Sources)]
			var all []byte
			for o := int64(0); o < s.Head().TieredEnd; {
				d, err := w.reader.Read(t.Context(), s.Head(), s.ID, o, 300<<10)
				if err != nil {
					t.Error(err)
					return
				}
				for n := w.reader.parts.memory.inUse(); ; {
					if was := most.Load(); n <= was || most.CompareAndSwap(was, n) {
						break
					}
				}
				for _, p := range d.Pieces {
					all = append(all, p...)
				}
				o = d.Next
				d.Release()
			}
			if !bytes.Equal(all, s.History(0)) {
				t.Errorf("reader %d got something else", i)
			}
		})
	}
	wg.Wait()
	// Decompressed blocks may go beyond: one for each reader.
	if limit := cfg.reader.MemoryBytes + 24*(object.BlockBytes+64<<10); most.Load() > limit {
		t.Errorf("%d bytes were held, the budget is %d", most.Load(), cfg.reader.MemoryBytes)
	}
}

// Promise 9: clients that don't take their answers leave memory for others, however many
// they are, and who does take them isn't slowed down to single batches by a few.
func TestSlowClientsLeaveMemoryForOthers(t *testing.T) {
	cfg := testConfig()
	cfg.reader.MemoryBytes, cfg.reader.ChunkBytes, cfg.reader.ReadaheadBytes = 8<<20, 512<<10, 0
	cfg.reader.MemoryWait = time.Second
	cfg.upload.Compress = false
	w := newWorld(t, cfg)
	rng := tiertest.Rand(1)
	slow, other := w.Source(1, 0), w.Source(1, 1)
	for range 400 {
		slow.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 40<<10, 1), 0, w.Now.Millis())
	}
	for range 50 {
		other.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 40<<10, 1), 0, w.Now.Millis())
	}
	w.Flush()
	var lent []Data
	for client := range 40 {
		share := w.reader.Share()
		if client == 1 && share < int(cfg.reader.MemoryBytes)/40 {
			t.Errorf("one slow client leaves a share of %d", share)
		}
		for i := range int64(32) { // so many partitions, each in a chunk of its own
			if int(i)*leastShare > share {
				break
			}
			d, err := w.reader.Read(t.Context(), slow.Head(), slow.ID, i*12, share/32)
			if err != nil {
				t.Fatalf("slow client %d: %v", client, err)
			}
			lent = append(lent, d)
		}
		d, err := w.reader.Read(t.Context(), other.Head(), other.ID, 0, w.reader.Share())
		if err != nil {
			t.Fatalf("another reader beside %d slow clients: %v, %d bytes in use", client+1, err, w.reader.parts.memory.inUse())
		}
		d.Release()
	}
	w.CheckHistory(other, 0, 1<<20)
	for i := range lent {
		if i%2 == 0 {
			lent[i].Release()
		}
	}
	w.CheckHistory(slow, 0, 1<<20)
	for i := range lent {
		if i%2 == 1 {
			lent[i].Release()
		}
	}
	if n := w.reader.parts.memory.mu.lent; n != 0 {
		t.Errorf("%d bytes are counted as lent", n)
	}
}
