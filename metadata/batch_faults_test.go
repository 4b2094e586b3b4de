package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"varve/metadata"
)

// An outage is waited out; what was applied before its answer got lost is a
// success, although its guard fails when it is sent again.
func TestWriterLostReply(t *testing.T) {
	bubble(t, func(t *testing.T, m *metadata.Memory, a, _ *metadata.MemoryStore) {
		w := writer(t, a, nil)
		defer closeWriter(t, w)
		m.LoseReplies(2)
		rev, err := w.Write(t.Context(), []metadata.Guard{{Key: "x"}}, op("x", "1"), op("y", "1"), metadata.Delete("z"))
		kv, _ := a.Get(t.Context(), "x")
		if err != nil || rev != kv.Mod {
			t.Fatalf("write: revision %d, error %v; key is at %d", rev, err, kv.Mod)
		}
		m.LoseReplies(1)
		if _, err := w.Write(t.Context(), []metadata.Guard{{Key: "x", Mod: rev}}, metadata.Delete("x")); err != nil {
			t.Fatalf("delete: %v", err)
		}
		m.LoseReplies(1)
		if _, err := w.Write(t.Context(), nil, op("free", "1")); err != nil {
			t.Fatalf("unguarded write: %v", err)
		}
	})
}

// Someone else's write is never taken for one's own.
func TestWriterLostReplyOfLoser(t *testing.T) {
	bubble(t, func(t *testing.T, m *metadata.Memory, a, b *metadata.MemoryStore) {
		w := writer(t, a, nil)
		defer closeWriter(t, w)
		m.SetAvailable(false)
		out := writing(w, []metadata.Guard{{Key: "x"}}, op("x", "mine"))
		time.Sleep(12 * time.Second) // more than two requests' time
		a.SetConnected(false)
		m.SetAvailable(true)
		put(t, b, "x", "theirs")
		a.SetConnected(true)
		if err := <-out; !errors.Is(err, metadata.ErrConflict) {
			t.Fatalf("write: %v", err)
		}
		wantValue(t, a, "x", "theirs")
	})
}

// A caller that gives up in an outage is answered at once; its write is not
// sent any more.
func TestWriterCallerGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, m *metadata.Memory, a, _ *metadata.MemoryStore) {
		w := writer(t, a, nil)
		defer closeWriter(t, w)
		m.SetAvailable(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := w.Write(ctx, nil, op("a", "1")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		time.Sleep(time.Minute)
		m.SetAvailable(true)
		other := writing(w, nil, op("b", "1"))
		wantNoErr(t, other)
		if _, err := a.Get(t.Context(), "a"); !errors.Is(err, metadata.ErrNotFound) {
			t.Fatal("what was given up was written")
		}
	})
}

func TestWriterCloseGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, m *metadata.Memory, a, _ *metadata.MemoryStore) {
		w := writer(t, a, nil)
		m.SetAvailable(false)
		one, two := writing(w, nil, op("a", "1")), writing(w, nil, op("a", "2"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("close: %v", err)
		}
		for _, e := range []<-chan error{one, two, writing(w, nil, op("b", "1"))} {
			if err := <-e; !errors.Is(err, metadata.ErrClosed) {
				t.Fatalf("write: %v", err)
			}
		}
	})
}

// Many callers count in many keys through an unreliable store: every increment
// that was acknowledged is there, and none is there twice.
func TestWriterCountsExactly(t *testing.T) {
	for seed := range uint64(5) {
		bubble(t, func(t *testing.T, m *metadata.Memory, a, b *metadata.MemoryStore) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := writer(t, a, func(c *metadata.WriterConfig) { c.MaxInFlight, c.MaxOps = 3, 16 })
			stop := make(chan struct{})
			var faults, callers sync.WaitGroup
			faults.Go(func() { trouble(m, r, stop) })
			counts := make([]int, 20)
			for i := range counts {
				callers.Go(func() { counts[i] = count(t, w, b, fmt.Sprint("n", i), 25) })
			}
			callers.Wait()
			close(stop)
			faults.Wait()
			m.SetAvailable(true)
			closeWriter(t, w)
			for i, n := range counts {
				wantValue(t, b, fmt.Sprint("n", i), strings.Repeat("+", n))
			}
			if !slices.ContainsFunc(counts, func(n int) bool { return n > 20 }) {
				t.Fatalf("seed %d: hardly anything was counted: %v", seed, counts)
			}
		})
	}
}

// trouble loses replies and makes outages until stop.
func trouble(m *metadata.Memory, r *rand.Rand, stop <-chan struct{}) {
	for {
		m.LoseReplies(r.IntN(3))
		m.SetAvailable(r.IntN(4) > 0)
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(r.IntN(3000)) * time.Millisecond):
		}
	}
}

// count appends n marks to a key, each guarded by the one before, and returns how
// many were acknowledged.
func count(t *testing.T, w *metadata.Writer, s metadata.Store, key string, n int) int {
	value, mod := "", metadata.Revision(0)
	for i := range n {
		rev, err := w.Write(t.Context(), []metadata.Guard{{Key: key, Mod: mod}}, op(key, value+"+"))
		if err != nil {
			t.Errorf("%s, write %d: %v", key, i, err)
			return i
		}
		value, mod = value+"+", rev
	}
	return n
}
