package read

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"varve/kafka"
	"varve/s3store"
	"varve/tiering/tiertest"
)

func TestMemoryQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(100, 64, func(int64) int64 { return 0 })
		a, err := m.get(t.Context(), 64)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-m.shortage():
			t.Error("short although nobody waits")
		default:
		}
		// The first in the queue gives up; those behind it must get in all the same.
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		gaveUp := make(chan error)
		go func() {
			_, err := m.get(short, 90)
			gaveUp <- err
		}()
		synctest.Wait()
		quit := m.shortage()
		got := make(chan *buffer)
		go func() {
			b, err := m.get(t.Context(), 40)
			if err != nil {
				t.Error(err)
			}
			got <- b
		}()
		synctest.Wait()
		if m.try(1) != nil {
			t.Error("somebody jumped the queue")
		}
		select {
		case <-quit:
		default:
			t.Error("not short although two wait")
		}
		if err := <-gaveUp; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		a.release()
		b := <-got
		if m.inUse() != 40 {
			t.Errorf("%d bytes are counted", m.inUse())
		}
		select {
		case <-m.shortage():
			t.Error("short although nobody waits any more")
		default:
		}
		b.retain()
		b.release()
		b.release()
		if m.inUse() != 0 {
			t.Errorf("%d bytes are counted at the end", m.inUse())
		}
		defer func() {
			if recover() == nil {
				t.Error("a second release passed")
			}
		}()
		b.release()
	})
}

// Who waits for memory gets what only the cache holds, as soon as that is so.
func TestWaiterGetsWhatOnlyTheCacheHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.reader.ReadaheadBytes = 0
		cfg.upload.Compress = false
		w := newWorld(t, cfg)
		s := w.Source(1, 0)
		chunks := int(cfg.reader.MemoryBytes) / cfg.reader.ChunkBytes
		for range chunks + 4 {
			s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, cfg.reader.ChunkBytes, 1), 0, w.Now.Millis())
		}
		w.Flush()
		o := s.Head().Slices[0].Object
		w.reader.parts.memory.evict(cfg.reader.MemoryBytes)
		var held []*buffer
		for n := range chunks - 1 {
			b, err := w.reader.parts.chunk(t.Context(), o, int64(n), true)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, b)
		}
		w.Inject(func(s3store.Call) s3store.Fault { return s3store.Fault{Delay: time.Second} }) // fake
		got := make(chan error, 2)
		read := func(n int) {
			b, err := w.reader.parts.chunk(t.Context(), o, int64(n), true)
			if err == nil {
				b.release()
			}
			got <- err
		}
		began := time.Now()
		go read(chunks - 1) // takes the last room
		synctest.Wait()
		go read(chunks) // waits
		for range 2 {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		for _, b := range held {
			b.release()
		}
	})
}
