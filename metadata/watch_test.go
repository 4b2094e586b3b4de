package metadata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// inside starts an embedded etcd and opens it for a look at the inside.
func inside(t *testing.T) *etcdStore {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	e, err := StartEmbedded(t.Context(), EmbedConfig{Dir: t.TempDir(), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	s, err := Open(t.Context(), e.Config(), log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*etcdStore)
}

// write puts a key n times and returns the last revision.
func write(t *testing.T, s *etcdStore, key string, n int) Revision {
	t.Helper()
	var rev Revision
	for i := range n {
		var err error
		if rev, err = s.Txn(t.Context(), nil, Put(key, fmt.Append(nil, i))); err != nil {
			t.Fatal(err)
		}
	}
	return rev
}

// A watch whose place was compacted begins again with the state, once.
func TestWatchResetsAfterCompaction(t *testing.T) {
	s := inside(t)
	rev := write(t, s, "x", 10)
	if _, err := s.client.Compact(t.Context(), int64(rev)); err != nil {
		t.Fatal(err)
	}
	w := &etcdWatch{s: s, out: make(chan Batch), rev: 2, placed: true, begun: true}
	s.start(func() { w.run(t.Context()) })
	b := <-w.out
	if !b.Reset || b.Rev != rev || len(b.Events) != 1 || string(b.Events[0].KV.Value) != "9" {
		t.Fatalf("batch %+v, want the state at %d", b, rev)
	}
	rev = write(t, s, "y", 1)
	if b = <-w.out; b.Reset || b.Rev != rev || len(b.Events) != 1 {
		t.Fatalf("batch %+v, want the change at %d", b, rev)
	}
}

// A watch that is behind, but not too far, gets what it missed.
func TestWatchTakesUpItsPlace(t *testing.T) {
	s := inside(t)
	last := write(t, s, "x", 10)
	w := &etcdWatch{s: s, out: make(chan Batch), rev: last - 5, placed: true, begun: true}
	s.start(func() { w.run(t.Context()) })
	seen := 0
	for rev := last - 5; rev < last; {
		b := <-w.out
		if b.Reset {
			t.Fatalf("reset: %+v", b)
		}
		seen += len(b.Events)
		rev = b.Rev
	}
	if seen != 5 {
		t.Fatalf("%d events, want 5", seen)
	}
}

// A List whose revision is compacted between two pages starts again.
func TestListRestartsAfterCompaction(t *testing.T) {
	t.Parallel()
	s := inside(t)
	rev := write(t, s, "x", 5)
	if _, err := s.client.Compact(t.Context(), int64(rev)); err != nil {
		t.Fatal(err)
	}
	_, err := s.page(t.Context(), s.cfg.Prefix, s.cfg.Prefix+"z", rev-1, 10)
	if !errors.Is(err, errCompacted) {
		t.Fatalf("page at a compacted revision: %v", err)
	}
	for i := range 1000 {
		write(t, s, fmt.Sprintf("l/%04d", i), 1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { compactAlways(ctx, s) })
	for range 20 {
		kvs, _, err := s.List(t.Context(), "l/")
		if err != nil || len(kvs) != 1000 {
			t.Fatalf("listed %d keys, error %v", len(kvs), err)
		}
	}
}

// compactAlways writes and compacts away all history, until ctx ends.
func compactAlways(ctx context.Context, s *etcdStore) {
	for ctx.Err() == nil {
		rev, err := s.Txn(ctx, nil, Put("churn", nil))
		if err != nil {
			return
		}
		s.client.Compact(ctx, int64(rev)) // a refusal shows in the next turn
	}
}
