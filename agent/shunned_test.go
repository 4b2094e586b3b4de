package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestSilentPeerStopsNobody: an agent that is registered, and answers nobody, is chosen
// for a journal once; then another keeps it.
func TestSilentPeerStopsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	meta := w.meta.Open()
	t.Cleanup(func() { _ = meta.Close() })
	session, err := meta.Session(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // whoever connects waits in its queue
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	chosen := schema.Agent{Incarnation: 1 << 40, Store: id.Store{9}, Version: "test", Peer: silent.Addr().String()}
	if _, err := meta.Txn(t.Context(), nil, metadata.PutLeased(schema.AgentKey(50), chosen.Encode(), session.Lease())); err != nil {
		t.Fatal(err)
	}
	join := func(broker int32, factor int) *running {
		other := newWorld(t)
		other.meta, other.bucket = w.meta, w.bucket
		other.change = func(c *Config) {
			c.BrokerID, c.Peer.Bind = broker, "127.0.0.1:0"
			c.Replication.Factor, c.Replication.Quorum = factor, factor
		}
		return other.start()
	}
	keeps := join(60, 1)
	c := join(70, 2)
	members := c.view.Journals()[c.own.ID()].Ensemble
	if len(members) != 2 || members[1] != keeps.store.ID() {
		t.Errorf("kept by %v, not by %v", members, keeps.store.ID())
	}
}

// TestMemberThatCannotBeReached: one that lives, but not for the journal's writer, is
// replaced though hardly anything is written.
func TestMemberThatCannotBeReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for b := range int32(3) {
		other := *w
		other.fs = vfs.NewMemory()
		other.change = func(c *Config) { c.BrokerID, c.Peer.Bind = b+1, "127.0.0.1:0" }
		other.start()
	}
	w.change = func(c *Config) {
		c.BrokerID, c.Peer.Bind = 9, "127.0.0.1:0"
		c.Replication.Factor, c.Replication.Quorum, c.Replication.ReplaceAfter = 3, 2, time.Second
	}
	var cut atomic.Pointer[string]
	var conns sync.Map
	meta := w.meta.Open()
	defer meta.Close()
	deps := Deps{FS: w.fs, Meta: meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Version: "test",
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			if at := cut.Load(); at != nil && *at == addr {
				return nil, errors.New("no route to host")
			}
			c, err := dial(ctx, addr)
			if err == nil {
				conns.Store(c, addr)
			}
			return c, err
		}}
	a, err := New(w.config(), deps)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Agent: a, t: t}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case err := <-ended:
		t.Fatal(err)
	case <-a.Started():
	}
	members := func() []id.Store { return a.view.Journals()[a.own.ID()].Ensemble }
	r.until("three keep the journal", func() bool {
		connected := 0
		for _, m := range a.near.peers.Members(a.own.ID()) {
			if m.Own || !m.Connected.IsZero() {
				connected++
			}
		}
		return connected == 3
	})
	gone := members()[1]
	live, _ := a.view.Store(gone)
	cut.Store(&live.Peer)
	conns.Range(func(c, addr any) bool {
		if addr == live.Peer {
			_ = c.(net.Conn).Close()
		}
		return true
	})
	r.until("another takes its place", func() bool { now := members(); return len(now) == 3 && !slices.Contains(now, gone) })
	if _, lives := a.view.Store(gone); !lives {
		t.Error("it lost its session")
	}
	stop()
	<-ended
}
