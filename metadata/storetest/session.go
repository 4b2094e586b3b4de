package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"varve/metadata"
)

// session opens one and closes it when the test ends.
func session(t testing.TB, s metadata.Store) metadata.Session {
	t.Helper()
	return must(s.Session(context.Background(), TTL))(t)
}

func putLeased(t testing.TB, s metadata.Store, key string, l metadata.Lease) metadata.Revision {
	t.Helper()
	return txn(t, s, metadata.PutLeased(key, []byte("v"), l))
}

// gone waits until a key is deleted, and returns how long that took.
func gone(t testing.TB, s metadata.Store, key string) time.Duration {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := newView(t, s.Watch(ctx, key))
	v.next()
	for len(v.keys) > 0 {
		v.next()
	}
	return time.Since(start)
}

func lost(t testing.TB, n metadata.Session) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-n.Lost():
	case <-late.C:
		t.Fatal("the session doesn't notice that its lease is gone")
	}
}

// testSessionAlive: a session outlives its time to live.
func testSessionAlive(t *testing.T, a, b metadata.Store) {
	n := session(t, a)
	putLeased(t, a, "s", n.Lease())
	select {
	case <-n.Lost():
		t.Fatal("session lost")
	case <-time.After(2*TTL + TTL/2): // it is the passing of time that is tested
	}
	if kv := must(b.Get(context.Background(), "s"))(t); kv.Lease != n.Lease() {
		t.Fatalf("key has lease %d, want %d", kv.Lease, n.Lease())
	}
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func testSessionClose(t *testing.T, a, b metadata.Store) {
	n := session(t, a)
	putLeased(t, a, "s/1", n.Lease())
	rev := putLeased(t, b, "s/2", n.Lease())
	put(t, a, "free", "v")
	v := newView(t, b.Watch(t.Context(), "s/"))
	v.until(rev)
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Both keys go in one revision.
	if got := v.next(); len(got.Events) != 2 || len(v.keys) != 0 {
		t.Fatalf("after Close: %+v", got)
	}
	must(b.Get(context.Background(), "free"))(t)
	if err := n.Close(context.Background()); err != nil {
		t.Fatalf("second Close: %v", err)
	}
	select {
	case <-n.Lost():
		t.Fatal("Close made the session lost")
	default:
	}
}

// testSessionLost: a peer may end a session, which learns of it.
func testSessionLost(t *testing.T, a, b metadata.Store) {
	n := session(t, a)
	putLeased(t, a, "s", n.Lease())
	if err := b.Revoke(context.Background(), n.Lease()); err != nil {
		t.Fatal(err)
	}
	_, err := a.Get(context.Background(), "s")
	wantErr(t, err, metadata.ErrNotFound)
	lost(t, n)
	if err := b.Revoke(context.Background(), n.Lease()); err != nil {
		t.Fatalf("revoke of a lease that is gone: %v", err)
	}
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// testSessionExpires: the keys of a handle that was closed go with its lease's
// time to live, not before.
func testSessionExpires(t *testing.T, a, b metadata.Store) {
	n := session(t, a)
	putLeased(t, a, "s", n.Lease())
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if after := gone(t, b, "s"); after < TTL/2 {
		t.Fatalf("key went after %v, time to live is %v", after, TTL)
	}
}

// testLeaseDetach: a put without lease takes the key off its lease.
func testLeaseDetach(t *testing.T, a, _ metadata.Store) {
	n := session(t, a)
	putLeased(t, a, "s", n.Lease())
	put(t, a, "s", "free")
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if kv := must(a.Get(context.Background(), "s"))(t); kv.Lease != 0 {
		t.Fatalf("key has lease %d", kv.Lease)
	}
}

func testLeaseGone(t *testing.T, a, b metadata.Store) {
	n := session(t, a)
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, err := b.Txn(context.Background(), nil, metadata.Put("x", nil), metadata.PutLeased("s", nil, n.Lease()))
	wantErr(t, err, metadata.ErrSessionLost)
	_, err = b.Get(context.Background(), "x")
	wantErr(t, err, metadata.ErrNotFound)
	if _, err := a.Session(context.Background(), 0); err == nil || errors.Is(err, metadata.ErrUnavailable) {
		t.Fatalf("session without time to live: %v", err)
	}
}

// testCloseKeepsLease: Close of a store doesn't revoke.
func testCloseKeepsLease(t *testing.T, a, b metadata.Store) {
	n := session(t, a)
	putLeased(t, a, "s", n.Lease())
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	must(b.Get(context.Background(), "s"))(t)
	select {
	case <-n.Lost():
		t.Fatal("Close of the store made the session lost")
	default:
	}
}
