package agent

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/metadata"
)

// TestConversionWaitsForEarlierBuilds: while an agent of an earlier build runs, nothing is
// converted: that agent could neither upload what it owns nor give it away.
func TestConversionWaitsForEarlierBuilds(t *testing.T) {
	w := newWorld(t)
	etcd := w.meta.Open()
	defer etcd.Close()
	cluster := metadata.Cluster{ID: id.Topic{1}.String(), Created: time.Now(), Layout: 1}
	earlier := metadata.AgentKey(77)
	if _, err := etcd.Txn(t.Context(), nil, metadata.Put(metadata.KeyCluster, cluster.Encode()), metadata.Put(earlier, metadata.Agent{Incarnation: 1}.Encode())); err != nil {
		t.Fatal(err)
	}
	layout := func() uint8 {
		kv, err := etcd.Get(t.Context(), metadata.KeyCluster)
		if err != nil {
			t.Fatal(err)
		}
		c, err := metadata.DecodeCluster(kv.Value)
		if err != nil {
			t.Fatal(err)
		}
		return c.Layout
	}
	meta := w.meta.Open()
	a, err := New(w.config(), Deps{FS: w.fs, Meta: meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Dial: dial, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx); meta.Close() }()
	defer func() { cancel(); <-ended }()
	late := time.After(patience)
	for !strings.Contains(a.starting(), "all agents of that build are stopped") {
		select {
		case <-a.Started():
			t.Fatal("it has started beside an agent of an earlier build")
		case <-late:
			t.Fatalf("it says %q", a.starting())
		case <-time.After(10 * time.Millisecond):
		}
	}
	if n := layout(); n != 1 {
		t.Errorf("the layout is %d", n)
	}
	if _, err := etcd.Txn(t.Context(), nil, metadata.Delete(earlier)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.Started():
	case <-time.After(patience):
		t.Fatal("it doesn't start")
	}
	if n := layout(); n != metadata.NewestLayout {
		t.Errorf("the layout is %d", n)
	}
}
