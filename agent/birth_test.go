package agent

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/vfs"
)

// TestBirthRestsOnTheFirstRegistration: an agent whose registration was lost while members
// joined its first journal doesn't open it, though it is registered again: a member that
// found it gone may have forgotten the journal by then.
func TestBirthRestsOnTheFirstRegistration(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.Peer.Bind = "127.0.0.1:0" }
	w.start()
	w.change = func(c *Config) {
		c.BrokerID, c.Peer.Bind, c.Replication.Factor, c.Replication.Quorum = 2, "127.0.0.1:0", 2, 2
	}
	meta := w.meta.Open()
	defer meta.Close()
	var a *Agent
	var again sync.Once
	deps := Deps{FS: vfs.NewMemory(), Meta: meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Version: "test",
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			again.Do(func() { // the first member is about to join
				if _, err := a.reg.announce(ctx); err != nil {
					t.Error(err)
				}
			})
			return dial(ctx, addr)
		}}
	a, err := New(w.config(), deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case err := <-ended:
		if !IsReplaced(err) {
			t.Errorf("it ended with %v", err)
		}
	case <-a.Started():
		t.Error("it serves")
		stop()
		<-ended
	}
}

// TestBirthUnderAnotherRegistration: when a member didn't join, and the agent is registered
// anew until the next try, that is for another journal: who joined the first may be about
// to forget it.
func TestBirthUnderAnotherRegistration(t *testing.T) {
	w := newWorld(t)
	keeper := func(b int32) {
		other := *w
		other.fs = vfs.NewMemory()
		other.change = func(c *Config) { c.BrokerID, c.Peer.Bind = b, "127.0.0.1:0" }
		other.start()
	}
	keeper(1)
	keeper(3)
	w.change = func(c *Config) {
		c.BrokerID, c.Peer.Bind, c.Replication.Factor, c.Replication.Quorum = 2, "127.0.0.1:0", 2, 2
	}
	meta := w.meta.Open()
	defer meta.Close()
	var a *Agent
	var again sync.Once
	var refuses string
	deps := Deps{FS: vfs.NewMemory(), Meta: meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Version: "test",
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			again.Do(func() { // the first member is about to join
				refuses = addr
				if _, err := a.reg.announce(ctx); err != nil {
					t.Error(err)
				}
			})
			if addr == refuses {
				return nil, syscall.ECONNREFUSED
			}
			return dial(ctx, addr)
		}}
	a, err := New(w.config(), deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case err := <-ended:
		t.Errorf("it ended with %v", err)
	case <-a.Started():
		if j := a.own.ID(); j.Seq != 2 {
			t.Errorf("it opened %v", j)
		}
	}
	stop()
	<-ended
}
