package agent

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestStartSaysWhatItWaitsFor: an agent that waits for others to keep its journal with
// answers, and says so.
func TestStartSaysWhatItWaitsFor(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) {
		c.Replication.Factor, c.Replication.Quorum, c.Replication.GatherFor = 3, 2, 0
		c.Peer.Bind = "127.0.0.1:0"
	}
	cfg := w.config()
	addr := make(chan string, 1)
	listen := func(network, at string) (net.Listener, error) {
		l, err := net.Listen(network, at)
		select {
		case addr <- l.Addr().String(): // the first one
		default:
		}
		return l, err
	}
	meta := w.meta.Open()
	a, err := New(cfg, Deps{FS: w.fs, Meta: meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: listen, Dial: dial, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	url := "http://" + <-addr
	const want = "waits for other agents to keep it with: 1 live, 2 needed"
	late := time.After(patience)
	for said := ""; !strings.Contains(said, want); {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if said = string(body); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatal(resp.Status, said, err)
		}
		select {
		case <-late:
			t.Fatalf("it says %q", said)
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	<-ended
	meta.Close()
}
