package storetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"varve/metadata"
)

// view is a watcher's picture of the store, which checks each batch.
type view struct {
	t     testing.TB
	watch <-chan metadata.Batch
	keys  map[string]metadata.KV
	rev   metadata.Revision
	begun bool
	seen  int // events, without those of resets
}

func newView(t testing.TB, watch <-chan metadata.Batch) *view {
	return &view{t: t, watch: watch, keys: map[string]metadata.KV{}}
}

// next takes one batch.
func (v *view) next() metadata.Batch {
	v.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case b, ok := <-v.watch:
		if !ok {
			v.t.Fatal("watch ended")
		}
		v.apply(b)
		return b
	case <-late.C:
		v.t.Fatalf("no batch came; the view is at revision %d with %d keys", v.rev, len(v.keys))
		panic("unreachable")
	}
}

func (v *view) apply(b metadata.Batch) {
	v.t.Helper()
	if !v.begun && !b.Reset {
		v.t.Fatal("the first batch is no Reset")
	}
	if v.begun && b.Rev <= v.rev && !b.Reset {
		v.t.Fatalf("batch at %d after %d", b.Rev, v.rev)
	}
	if b.Reset {
		v.keys = map[string]metadata.KV{}
	}
	last := v.rev
	for _, e := range b.Events {
		if e.KV.Mod > b.Rev || !b.Reset && e.KV.Mod < last {
			v.t.Fatalf("event at %d in a batch at %d, after one at %d", e.KV.Mod, b.Rev, last)
		}
		if !b.Reset {
			last = e.KV.Mod
			v.seen++
		}
		v.change(e)
	}
	v.rev, v.begun = b.Rev, true
}

func (v *view) change(e metadata.Event) {
	switch e.Type {
	case metadata.EventPut:
		v.keys[e.KV.Key] = e.KV
	case metadata.EventDelete:
		if e.KV.Value != nil || e.KV.Create != 0 {
			v.t.Fatalf("a delete carries more than key and revision: %s", show(e.KV))
		}
		delete(v.keys, e.KV.Key)
	default:
		v.t.Fatalf("event type %d", e.Type)
	}
}

// until takes batches up to a revision.
func (v *view) until(rev metadata.Revision) {
	v.t.Helper()
	for v.rev < rev {
		v.next()
	}
}

func testWatchState(t *testing.T, a, b metadata.Store) {
	ctx := t.Context()
	empty := newView(t, a.Watch(ctx, "w/"))
	if got := empty.next(); len(got.Events) != 0 || got.Rev == 0 {
		t.Fatalf("state of an empty prefix: %+v", got)
	}
	r1 := put(t, b, "w/1", "x")
	put(t, b, "v", "not below the prefix")
	r2 := put(t, b, "w/2", "y")
	full := newView(t, a.Watch(ctx, "w/"))
	if got := full.next(); len(got.Events) != 2 || got.Rev < r2 {
		t.Fatalf("state: %+v", got)
	}
	wantKV(t, full.keys["w/1"], "w/1", "x", r1, r1)
	empty.until(r2)
	wantKV(t, empty.keys["w/2"], "w/2", "y", r2, r2)
	rev := txn(t, b, metadata.Delete("w/1"), metadata.Delete("v"))
	for _, v := range []*view{empty, full} {
		v.until(rev)
		if _, there := v.keys["w/1"]; there || len(v.keys) != 1 {
			t.Fatalf("view after delete: %v", v.keys)
		}
	}
}

// testWatchRevisions: what one transaction wrote comes in one batch.
func testWatchRevisions(t *testing.T, a, b metadata.Store) {
	v := newView(t, a.Watch(t.Context(), ""))
	v.next()
	value := bytes.Repeat([]byte("v"), 9000) // 128 of them are near the limit
	for round := range 10 {
		var ops []metadata.Op
		for i := range metadata.MaxTxnOps {
			ops = append(ops, metadata.Put(fmt.Sprintf("k%03d", i), append(value, byte(round))))
		}
		txn(t, b, ops...)
	}
	for seen := 0; seen < 10*metadata.MaxTxnOps; {
		got := v.next()
		if len(got.Events)%metadata.MaxTxnOps != 0 {
			t.Fatalf("a batch holds %d events of transactions of %d", len(got.Events), metadata.MaxTxnOps)
		}
		seen += len(got.Events)
	}
}

// testWatchAll: every change comes, once and in order.
func testWatchAll(t *testing.T, a, b metadata.Store) {
	const changes = 300
	v := newView(t, a.Watch(t.Context(), "n/"))
	v.next()
	var writer sync.WaitGroup
	defer writer.Wait()
	writer.Go(func() {
		for i := range changes {
			_, err := b.Txn(t.Context(), nil, metadata.Put(fmt.Sprint("n/", i%7), fmt.Append(nil, i)))
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for v.seen < changes {
		v.next()
	}
	for i := changes - 7; i < changes; i++ {
		if got := v.keys[fmt.Sprint("n/", i%7)]; string(got.Value) != fmt.Sprint(i) {
			t.Fatalf("view holds %s, want value %d", show(got), i)
		}
	}
}

// testSlowWatcher: one that takes nothing for long still gets everything.
func testSlowWatcher(t *testing.T, a, b metadata.Store) {
	v := newView(t, a.Watch(t.Context(), ""))
	value := bytes.Repeat([]byte("v"), 1<<20)
	var last metadata.Revision
	for i := range 24 {
		last = put(t, b, fmt.Sprint("k", i%5), string(value)+fmt.Sprint(i))
	}
	v.until(last)
	for i := 19; i < 24; i++ {
		if got := v.keys[fmt.Sprint("k", i%5)].Value; string(got[len(value):]) != fmt.Sprint(i) {
			t.Fatalf("key %d ends in %q, want %d", i%5, got[len(value):], i)
		}
	}
}

func testWatchEnds(t *testing.T, a, _ metadata.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	ended, idle := a.Watch(ctx, ""), a.Watch(ctx, "other/")
	<-idle
	put(t, a, "x", "1") // waits to be taken
	cancel()
	for range ended { // must end, with or without the batches that wait
	}
	for range idle {
	}
}
