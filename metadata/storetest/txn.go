package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"varve/metadata"
)

func testGet(t *testing.T, a, b metadata.Store) {
	ctx := context.Background()
	_, err := a.Get(ctx, "x")
	wantErr(t, err, metadata.ErrNotFound)
	if _, err := a.Get(ctx, ""); err == nil {
		t.Fatal("an empty key was read")
	}
	rev := put(t, a, "x", "1")
	wantKV(t, must(b.Get(ctx, "x"))(t), "x", "1", rev, rev)
	put(t, a, "y", "")
	if kv := must(b.Get(ctx, "y"))(t); len(kv.Value) != 0 {
		t.Fatalf("empty value came back as %q", kv.Value)
	}
	odd := "a/\x00\xff\n\"ü"
	put(t, a, odd, odd)
	if kv := must(b.Get(ctx, odd))(t); kv.Key != odd || string(kv.Value) != odd {
		t.Fatalf("binary key and value came back as %s", show(kv))
	}
}

func testPutKeepsCreate(t *testing.T, a, b metadata.Store) {
	ctx := context.Background()
	r1 := put(t, a, "x", "1")
	r2 := put(t, b, "x", "2")
	if r2 <= r1 {
		t.Fatalf("revision %d after %d", r2, r1)
	}
	wantKV(t, must(a.Get(ctx, "x"))(t), "x", "2", r1, r2)
	txn(t, a, metadata.Delete("x"))
	_, err := b.Get(ctx, "x")
	wantErr(t, err, metadata.ErrNotFound)
	r3 := put(t, b, "x", "3")
	wantKV(t, must(a.Get(ctx, "x"))(t), "x", "3", r3, r3)
}

func testDeleteAbsent(t *testing.T, a, _ metadata.Store) {
	before := put(t, a, "x", "1")
	if rev := txn(t, a, metadata.Delete("absent")); rev != before {
		t.Fatalf("deleting nothing moved the revision from %d to %d", before, rev)
	}
}

func testGuards(t *testing.T, a, b metadata.Store) {
	ctx := context.Background()
	absent := []metadata.Guard{{Key: "x"}}
	r1 := must(a.Txn(ctx, absent, metadata.Put("x", []byte("1"))))(t)
	_, err := b.Txn(ctx, absent, metadata.Put("x", []byte("2")))
	wantErr(t, err, metadata.ErrConflict)
	r2 := must(b.Txn(ctx, []metadata.Guard{{Key: "x", Mod: r1}}, metadata.Put("x", []byte("2"))))(t)
	_, err = a.Txn(ctx, []metadata.Guard{{Key: "x", Mod: r1}}, metadata.Put("x", []byte("3")))
	wantErr(t, err, metadata.ErrConflict)
	wantKV(t, must(a.Get(ctx, "x"))(t), "x", "2", r1, r2)
	txn(t, a, metadata.Delete("x"))
	_, err = a.Txn(ctx, []metadata.Guard{{Key: "x", Mod: r2}}, metadata.Put("x", []byte("3")))
	wantErr(t, err, metadata.ErrConflict)
	must(a.Txn(ctx, absent, metadata.Put("x", []byte("4"))))(t)
}

func testTxnIsAtomic(t *testing.T, a, b metadata.Store) {
	ctx := context.Background()
	r1 := put(t, a, "x", "1")
	guards := []metadata.Guard{{Key: "x", Mod: r1}, {Key: "y"}}
	r2 := must(a.Txn(ctx, guards, metadata.Delete("x"), metadata.Put("y", []byte("1")), metadata.Put("z", []byte("1"))))(t)
	wantKV(t, must(b.Get(ctx, "y"))(t), "y", "1", r2, r2)
	wantKV(t, must(b.Get(ctx, "z"))(t), "z", "1", r2, r2)
	guards = []metadata.Guard{{Key: "y", Mod: r2}, {Key: "z", Mod: r1}}
	_, err := b.Txn(ctx, guards, metadata.Delete("y"), metadata.Put("q", nil))
	wantErr(t, err, metadata.ErrConflict)
	must(a.Get(ctx, "y"))(t)
	_, err = a.Get(ctx, "q")
	wantErr(t, err, metadata.ErrNotFound)
}

func testTxnLimits(t *testing.T, a, _ metadata.Store) {
	ctx := context.Background()
	var guards []metadata.Guard
	var ops []metadata.Op
	for i := range metadata.MaxTxnOps {
		guards = append(guards, metadata.Guard{Key: fmt.Sprint("k", i)})
		ops = append(ops, metadata.Put(fmt.Sprint("k", i), []byte("v")))
	}
	must(a.Txn(ctx, guards, ops...))(t)
	_, err := a.Txn(ctx, nil, append(ops, metadata.Put("more", nil))...)
	wantErr(t, err, metadata.ErrTooLarge)
	_, err = a.Txn(ctx, append(guards, metadata.Guard{Key: "more"}), metadata.Put("x", nil))
	wantErr(t, err, metadata.ErrTooLarge)
	big := bytes.Repeat([]byte{'x'}, metadata.MaxTxnBytes-100)
	txn(t, a, metadata.Put("big", big))
	if kv := must(a.Get(ctx, "big"))(t); !bytes.Equal(kv.Value, big) {
		t.Fatal("a big value came back changed")
	}
	_, err = a.Txn(ctx, nil, metadata.Put("big", append(big, make([]byte, 200)...)))
	wantErr(t, err, metadata.ErrTooLarge)
	for _, ops := range [][]metadata.Op{
		{metadata.Put("x", nil), metadata.Put("x", nil)},
		{metadata.Put("x", nil), metadata.Delete("x")},
		{metadata.Put("", nil)},
	} {
		if _, err := a.Txn(ctx, nil, ops...); err == nil || errors.Is(err, metadata.ErrUnavailable) {
			t.Fatalf("%v: error %v", ops, err)
		}
	}
}

func testTxnWithoutOps(t *testing.T, a, b metadata.Store) {
	rev := put(t, a, "x", "1")
	if got := must(b.Txn(context.Background(), []metadata.Guard{{Key: "x", Mod: rev}}))(t); got != rev {
		t.Fatalf("a check moved the revision from %d to %d", rev, got)
	}
	_, err := b.Txn(context.Background(), []metadata.Guard{{Key: "x", Mod: rev - 1}})
	wantErr(t, err, metadata.ErrConflict)
}

// testRace counts up one key from two handles: no increment may be lost.
func testRace(t *testing.T, a, b metadata.Store) {
	const each = 20
	put(t, a, "n", "0")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range []metadata.Store{a, b, a, b} {
		wg.Go(func() {
			for range each {
				if err := increment(ctx, s, "n"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if kv := must(a.Get(ctx, "n"))(t); string(kv.Value) != fmt.Sprint(4*each) {
		t.Fatalf("counted to %s, want %d", kv.Value, 4*each)
	}
}

func increment(ctx context.Context, s metadata.Store, key string) error {
	for {
		kv, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(kv.Value))
		if err != nil {
			return err
		}
		_, err = s.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.Put(key, fmt.Append(nil, n+1)))
		if !errors.Is(err, metadata.ErrConflict) {
			return err
		}
	}
}

func testList(t *testing.T, a, b metadata.Store) {
	ctx := context.Background()
	kvs, _, err := a.List(ctx, "")
	if err != nil || len(kvs) != 0 {
		t.Fatalf("empty store lists %v, error %v", kvs, err)
	}
	for _, k := range []string{"b/2", "b/10", "a", "b", "b/\xff", "b0", "c"} {
		put(t, a, k, k)
	}
	kvs, rev, err := b.List(ctx, "b/")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"b/10", "b/2", "b/\xff"}
	if len(kvs) != len(want) {
		t.Fatalf("listed %v, want %q", kvs, want)
	}
	for i, kv := range kvs {
		if kv.Key != want[i] || string(kv.Value) != want[i] || kv.Mod == 0 || kv.Mod > rev {
			t.Fatalf("item %d is %s at %d, want %q", i, show(kv), rev, want[i])
		}
	}
	if kvs, _, err = b.List(ctx, ""); err != nil || len(kvs) != 7 {
		t.Fatalf("listed %d of all, error %v; want 7", len(kvs), err)
	}
}

// testListPages reads more than a page, with large values, while it changes.
func testListPages(t *testing.T, a, b metadata.Store) {
	const keys = 1500
	ctx, cancel := context.WithCancel(context.Background())
	value := bytes.Repeat([]byte("v"), 500)
	for i := 0; i < keys; i += 100 {
		var ops []metadata.Op
		for j := range 100 {
			ops = append(ops, metadata.Put(fmt.Sprintf("p/%05d", i+j), value))
		}
		txn(t, a, ops...)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { churn(ctx, a) })
	kvs, rev, err := b.List(ctx, "p/")
	if err != nil || len(kvs) != keys {
		t.Fatalf("listed %d keys, error %v; want %d", len(kvs), err, keys)
	}
	// All the churn's writes hold the same in both keys.
	first, last := kvs[0], kvs[keys-1]
	if !bytes.Equal(first.Value, last.Value) || first.Mod != last.Mod && len(first.Value) != len(value) {
		t.Fatalf("list at %d is of two moments: %d and %d", rev, first.Mod, last.Mod)
	}
}

// churn changes the first and last key of testListPages together.
func churn(ctx context.Context, s metadata.Store) {
	for i := 0; ctx.Err() == nil; i++ {
		v := fmt.Append(nil, i)
		_, err := s.Txn(ctx, nil, metadata.Put("p/00000", v), metadata.Put("p/01499", v))
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}

func testContext(t *testing.T, a, _ metadata.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := a.Get(ctx, "x")
	wantErr(t, err, context.Canceled)
	_, _, err = a.List(ctx, "x")
	wantErr(t, err, context.Canceled)
	_, err = a.Txn(ctx, nil, metadata.Put("x", nil))
	wantErr(t, err, context.Canceled)
	_, err = a.Session(ctx, TTL)
	wantErr(t, err, context.Canceled)
	wantErr(t, a.Revoke(ctx, 1), context.Canceled)
	if _, ok := <-a.Watch(ctx, ""); ok {
		t.Fatal("a watch whose context had ended delivered")
	}
	_, err = a.Get(context.Background(), "x")
	wantErr(t, err, metadata.ErrNotFound)
}

func testClosed(t *testing.T, a, b metadata.Store) {
	ctx := context.Background()
	watch := a.Watch(ctx, "")
	<-watch
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := <-watch; ok {
		t.Fatal("a watch went on after Close")
	}
	_, err := a.Get(ctx, "x")
	wantErr(t, err, metadata.ErrClosed)
	_, err = a.Txn(ctx, nil, metadata.Put("x", nil))
	wantErr(t, err, metadata.ErrClosed)
	_, err = a.Session(ctx, TTL)
	wantErr(t, err, metadata.ErrClosed)
	if _, ok := <-a.Watch(ctx, ""); ok {
		t.Fatal("a watch began after Close")
	}
	if err := a.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}
	put(t, b, "x", "the other handle works on")
}
