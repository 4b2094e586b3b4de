package metadata_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"varve/metadata"
	"varve/metadata/storetest"
)

// bubble runs a test with fake time and a handle on an empty memory.
func bubble(t *testing.T, run func(t *testing.T, m *metadata.Memory, a, b *metadata.MemoryStore)) {
	synctest.Test(t, func(t *testing.T) {
		m := metadata.NewMemory()
		a, b := m.Open(), m.Open()
		defer closeAll(t, b)
		defer closeAll(t, a)
		run(t, m, a, b)
	})
}

func TestMemoryConforms(t *testing.T) {
	for _, c := range storetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *metadata.Memory, a, b *metadata.MemoryStore) { c.Run(t, a, b) })
		})
	}
}

func TestEmbeddedConforms(t *testing.T) {
	t.Parallel()
	e := embedded(t, t.TempDir())
	storetest.Run(t, pair(e.Config()))
}

// pair opens two handles below a prefix of the test's own.
func pair(cfg metadata.Config) func(t *testing.T) (a, b metadata.Store) {
	return func(t *testing.T) (a, b metadata.Store) {
		cfg := cfg
		cfg.Prefix = "/varve/" + t.Name() + "/"
		return open(t, cfg), open(t, cfg)
	}
}

func session(t testing.TB, s metadata.Store, ttl time.Duration, key string) metadata.Session {
	t.Helper()
	n, err := s.Session(t.Context(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Txn(t.Context(), nil, metadata.PutLeased(key, []byte("v"), n.Lease())); err != nil {
		t.Fatal(err)
	}
	return n
}

func isLost(n metadata.Session) bool {
	select {
	case <-n.Lost():
		return true
	default:
		return false
	}
}

// An outage of any length costs no session: leases start anew when it ends.
func TestMemoryOutageKeepsSessions(t *testing.T) {
	bubble(t, func(t *testing.T, m *metadata.Memory, a, b *metadata.MemoryStore) {
		n := session(t, a, 3*time.Second, "s")
		watch := b.Watch(t.Context(), "")
		<-watch
		m.SetAvailable(false)
		_, err := b.Get(t.Context(), "s")
		if !errors.Is(err, metadata.ErrUnavailable) {
			t.Fatalf("get in an outage: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Get(ctx, "s"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("get with a deadline in an outage: %v", err)
		}
		time.Sleep(time.Minute)
		m.SetAvailable(true)
		time.Sleep(time.Minute)
		wantValue(t, b, "s", "v")
		if isLost(n) {
			t.Fatal("session lost")
		}
		put(t, a, "x", "after")
		if got := <-watch; got.Reset || len(got.Events) != 1 || got.Events[0].KV.Key != "x" {
			t.Fatalf("watch after the outage: %+v", got)
		}
	})
}

// A handle that is cut off loses its lease in time, and learns of it afterwards.
func TestMemoryCutOffHandleLosesSession(t *testing.T) {
	bubble(t, func(t *testing.T, _ *metadata.Memory, a, b *metadata.MemoryStore) {
		n := session(t, a, 3*time.Second, "s")
		cut := time.Now()
		a.SetConnected(false)
		watch := b.Watch(t.Context(), "s")
		<-watch
		if got := <-watch; got.Events[0].Type != metadata.EventDelete {
			t.Fatalf("watch: %+v", got)
		}
		if after := time.Since(cut); after < 2*time.Second || after > 3*time.Second {
			t.Fatalf("lease of 3s went %v after the last connection", after)
		}
		time.Sleep(time.Minute)
		if isLost(n) {
			t.Fatal("session knows of its loss while it is cut off")
		}
		a.SetConnected(true)
		<-n.Lost()
	})
}

func TestMemoryExpire(t *testing.T) {
	bubble(t, func(t *testing.T, m *metadata.Memory, a, _ *metadata.MemoryStore) {
		n := session(t, a, 3*time.Second, "s")
		m.Expire(n.Lease())
		if _, err := a.Get(t.Context(), "s"); !errors.Is(err, metadata.ErrNotFound) {
			t.Fatalf("get: %v", err)
		}
		<-n.Lost()
	})
}

func TestMemoryCompactResetsWatches(t *testing.T) {
	bubble(t, func(t *testing.T, m *metadata.Memory, a, b *metadata.MemoryStore) {
		put(t, a, "x", "1")
		watch := b.Watch(t.Context(), "")
		<-watch
		put(t, a, "y", "1")
		m.Compact()
		got := <-watch
		if !got.Reset { // the change may have been under way already
			got = <-watch
		}
		if !got.Reset || len(got.Events) != 2 || got.Rev != m.Revision() {
			t.Fatalf("watch after compaction: %+v", got)
		}
	})
}

// What callers and the store hold is not shared.
func TestMemoryValuesAreCopies(t *testing.T) {
	bubble(t, func(t *testing.T, _ *metadata.Memory, a, _ *metadata.MemoryStore) {
		value := []byte("one")
		if _, err := a.Txn(t.Context(), nil, metadata.Put("x", value)); err != nil {
			t.Fatal(err)
		}
		value[0] = 'X'
		kv, err := a.Get(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		kv.Value[1] = 'X'
		wantValue(t, a, "x", "one")
	})
}
