package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBrokerThatHangs: one that takes connections and never answers, named before or after
// one that works, holds a command up for a second, not for its patience; and one that is
// named alone is said to be unreachable.
func TestBrokerThatHangs(t *testing.T) {
	a := startAgent(t)
	hung, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections; no one reads
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	for _, brokers := range []string{hung.Addr().String() + "," + a.kafka, a.kafka + "," + hung.Addr().String()} {
		began := time.Now()
		wants(t, command(t, "", "cluster status --http= -b "+brokers), exitOK, a.kafka)
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("-b %s took %v", brokers, took)
		}
	}
	began := time.Now()
	wants(t, command(t, "", "cluster status --http= --timeout 3s -b "+hung.Addr().String()), exitUnavailable, "or does it hang?")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("--timeout 3s took %v", took)
	}
	began = time.Now()
	wants(t, command(t, "", "cluster health --http "+hung.Addr().String()), 2, "does it hang?")
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("an agent that hangs was waited for: %v", took)
	}
}

// deaf is a connection on which nothing arrives, whatever the deadline.
type deaf struct{ net.Conn }

func (deaf) SetReadDeadline(time.Time) error  { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }
func (deaf) SetDeadline(time.Time) error      { return nil }

// TestPingEndsInTime: it ends when its time is over, not when a connection is given up.
func TestPingEndsInTime(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	asked := make(chan struct{})
	cl, err := kgo.NewClient(kgo.SeedBrokers("h:1"), kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
		close(asked)
		return deaf{here}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ping(ctx, cl) }()
	<-asked
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the connection")
	}
	here.Close()
	cl.Close()
}
