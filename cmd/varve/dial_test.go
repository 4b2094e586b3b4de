package main

import (
	"net"
	"testing"
	"time"
)

// TestBrokerThatHangs: one that takes connections and never answers, named before or after
// one that works, holds a command up for a second, not for its patience; and one that is
// named alone is said to be unreachable.
func TestBrokerThatHangs(t *testing.T) {
	a := startAgent(t)
	hung, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections; nobody reads
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
	wants(t, command(t, "", "cluster status --http= --timeout 3s -b "+hung.Addr().String()), exitUnavailable)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("--timeout 3s took %v", took)
	}
	began = time.Now()
	wants(t, command(t, "", "cluster health --http "+hung.Addr().String()), 2, "does it hang?")
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("an agent that hangs was waited for: %v", took)
	}
}
