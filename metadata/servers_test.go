package metadata_test

import (
	"context"
	"testing"
	"time"

	"varve/internal/testserver"
	"varve/metadata"
)

// TestEtcdServerHangs: while a quorum lives, a server that hangs costs no session, whether
// it leads or follows, and holds up requests and watches for less than their time.
func TestEtcdServerHangs(t *testing.T) {
	t.Parallel()
	etcds := testserver.Etcds(t, 3)
	cfg := metadata.DefaultConfig()
	cfg.Endpoints = etcds.Endpoints
	s, log, _ := observed(t, cfg)
	const ttl = 3 * time.Second
	watch := s.Watch(t.Context(), "k")
	<-watch
	for _, leads := range []bool{true, false} {
		// One for each: a leader that wakes up may revoke leases that ran out while it hung.
		n := session(t, s, ttl, "s")
		const changed = "etcd servers that answer have changed"
		before := log.count(changed)
		hang(t, etcds, leads, func() {
			for began := time.Now(); time.Since(began) < 3*ttl || log.count(changed) == before; {
				delivered(t, s, watch)
				select {
				case <-n.Lost():
					t.Fatalf("the session is lost %v after a server hangs (leads: %v): %s", time.Since(began), leads, &log.buf)
				default:
				}
			}
		})
		for log.count(changed) < before+2 { // the next one to hang may be the same
			delivered(t, s, watch)
		}
	}
}

// hang runs something while a server stands still.
func hang(t *testing.T, etcds *testserver.EtcdCluster, leads bool, run func()) {
	t.Helper()
	leader, err := etcds.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := leader
	for _, other := range etcds.Members {
		if !leads && other != leader {
			m = other
		}
	}
	do(t, m.Pause)
	defer func() { do(t, m.Resume) }()
	run()
}

// heldUp bounds how long a write and its event take while a server hangs: less than the
// hang. Etcd elects a leader, and two or three renewals tell which server is silent.
const heldUp = 6 * time.Second

// delivered writes until it is done, and awaits that in a watch.
func delivered(t *testing.T, s metadata.Store, watch <-chan metadata.Batch) {
	t.Helper()
	began := time.Now()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), heldUp)
		_, err := s.Txn(ctx, nil, metadata.Put("k", []byte("v")))
		cancel()
		if err == nil {
			break
		}
		if time.Since(began) > heldUp {
			t.Fatalf("no write for %v: %v", time.Since(began), err)
		}
	}
	select {
	case <-watch:
	case <-time.After(heldUp):
		t.Fatal("no change is watched")
	}
}
