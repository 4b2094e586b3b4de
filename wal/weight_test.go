package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/vfs"
)

// counted returns the appends that the store counts in a journal's files.
func (s *Store) counted(w *Writer) (n int64) {
	s.journals.mu.Lock()
	defer s.journals.mu.Unlock()
	for _, f := range s.journals.mu.of[w.ID()].files {
		n += f.appends
	}
	return n
}

// Promise 7: the smallest batches use up the budget before the index of batches outgrows its
// memory. A start counts them again.
func TestSmallAppendsFillTheBudget(t *testing.T) {
	for _, least := range []int64{leastWeight, 2048} {
		t.Run(fmt.Sprint(least), func(t *testing.T) { fillWithSmallAppends(t, least) })
	}
}

func fillWithSmallAppends(t *testing.T, least int64) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMemory()
		cfg := small()
		cfg.SoftBytes, cfg.HardBytes = 16*cfg.FileBytes, 32*cfg.FileBytes
		if least > leastWeight {
			cfg.IndexBytes = max(1<<20, cfg.HardBytes*indexEntry/least)
			cfg.HardBytes = cfg.IndexBytes * least / indexEntry
		}
		s := openStore(t, cfg, mem)
		w := createJournal(t, s, 1)
		synctest.Wait()
		mem.Fault = func(op, _ string) error {
			if op == "sync" {
				time.Sleep(time.Millisecond) // fake: entries are full
			}
			return nil
		}
		o := newOutcome()
		n := int64(0)
		for ; ; n++ {
			if err := o.add(t, w, n, 70); errors.Is(err, ErrFull) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		o.n.Wait()
		synctest.Wait() // an entry is counted after its owners were told
		inOne := cfg.FileBytes / (70 + RecordBytes)
		ahead := 2 * inOne // what files take that were admitted before their weight was known
		if least > leastWeight {
			ahead += cfg.CacheBytes / (70 + RecordBytes) // what was still in the write buffers
		}
		if n*least > cfg.HardBytes+ahead*least {
			t.Errorf("%d appends were taken: each counts for %d of %d bytes", n, least, cfg.HardBytes)
		}
		if s.Untrimmed() >= cfg.HardBytes*3/4 {
			t.Errorf("%d bytes of the disk are used: this tests nothing", s.Untrimmed())
		}
		if got := s.counted(w); got != n {
			t.Errorf("%d appends are counted, not %d", got, n)
		}
		weight := s.budget.weight.Load()
		w.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, cfg, mem.Crash(rand.New(rand.NewPCG(1, 1))))
		defer s.Close()
		if _, err := s.Recover(w.ID()); err != nil {
			t.Fatal(err)
		}
		if got, now := s.counted(w), s.budget.weight.Load(); got != n || now < weight {
			t.Errorf("after a start %d of %d appends weigh %d, before %d", got, n, now, weight)
		}
	})
}

// A follower counts appends as its writer does.
func TestFollowerCountsAppends(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	p.write(r, 300)
	p.ship(r, p.w.Committed())
	p.sync()
	if got := p.store.counted(p.w); got != p.n {
		t.Errorf("%d appends are counted, not %d", got, p.n)
	}
}
