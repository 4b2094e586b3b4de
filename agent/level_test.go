package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestConversionWaitsForEarlierBuilds: while an agent of an earlier build runs, nothing is
// converted: that agent could neither upload what it owns nor give it away.
func TestConversionWaitsForEarlierBuilds(t *testing.T) {
	w := newWorld(t)
	etcd := w.meta.Open()
	defer etcd.Close()
	cluster := schema.Cluster{ID: id.Topic{1}.String(), Created: time.Now(), Level: 1}
	earlier := schema.AgentKey(77)
	if _, err := etcd.Txn(t.Context(), nil, metadata.Put(schema.KeyCluster, cluster.Encode()), metadata.Put(earlier, schema.Agent{Incarnation: 1}.Encode())); err != nil {
		t.Fatal(err)
	}
	level := func() uint8 {
		kv, err := etcd.Get(t.Context(), schema.KeyCluster)
		if err != nil {
			t.Fatal(err)
		}
		c, err := schema.DecodeCluster(kv.Value)
		if err != nil {
			t.Fatal(err)
		}
		return c.Level
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
	if n := level(); n != 1 {
		t.Errorf("the level is %d", n)
	}
	if _, err := etcd.Txn(t.Context(), nil, metadata.Delete(earlier)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.Started():
	case <-time.After(patience):
		t.Fatal("it doesn't start")
	}
	if n := level(); n != schema.OldestLevel {
		t.Errorf("the level is %d", n)
	}
}

// dying is a store of an agent that dies after some writes.
type dying struct {
	metadata.Store
	writes int
}

var errDied = errors.New("died")

func (d *dying) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	if d.writes == 0 {
		return 0, errDied
	}
	d.writes--
	return d.Store.Txn(ctx, guards, ops...)
}

// TestConversionOutlivesItsAgent: while heads are of two levels no earlier build starts, and
// the next agent converts the rest.
func TestConversionOutlivesItsAgent(t *testing.T) {
	store := clusterOfLevel1(t)
	defer store.Close()
	level := func() uint8 {
		kv, err := store.Get(t.Context(), schema.KeyCluster)
		if err != nil {
			t.Fatal(err)
		}
		c, err := schema.DecodeCluster(kv.Value)
		if err != nil || c.ID != "abc" {
			t.Fatalf("%+v, %v", c, err)
		}
		return c.Level
	}
	converted := func() int {
		all, err := schema.ListHeads(t.Context(), store, nil, func(key string, err error) { t.Errorf("%s: %v", key, err) })
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	w := newWorld(t)
	convert := func(store metadata.Store) error {
		a, err := New(w.config(), Deps{FS: w.fs, Meta: store, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Dial: dial, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return a.convertMetadata(t.Context())
	}
	for writes := range 3 {
		if err := convert(&dying{store, writes}); !errors.Is(err, errDied) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		if n := converted(); n > 0 && level() == 1 {
			t.Fatalf("%d heads are converted, and earlier builds start", n)
		}
	}
	if n := converted(); n != headsOfLevel1 {
		t.Fatalf("%d heads are converted", n)
	}
	if level() == schema.OldestLevel {
		t.Fatal("the agent died before it said that it is done")
	}
	if err := convert(store); err != nil || level() != schema.OldestLevel {
		t.Fatalf("level %d, %v", level(), err)
	}
	if err := convert(&dying{store, 0}); err != nil {
		t.Fatal("converted again: ", err)
	}
}

// An agent doesn't start, nor come back after it lost its session, in a cluster at a level that its
// build doesn't know, or that is being finalized at one.
func TestUnknownLevelsAreRefused(t *testing.T) {
	for name, c := range map[string]schema.Cluster{
		"was finalized at level 5": {ID: "abc", Level: schema.NewestLevel + 1},
		"being finalized":          {ID: "abc", Level: schema.NewestLevel, Next: schema.NewestLevel + 1},
	} {
		w := newWorld(t)
		store := w.meta.Open()
		defer store.Close()
		if _, err := store.Txn(t.Context(), nil, metadata.Put(schema.KeyCluster, c.Encode())); err != nil {
			t.Fatal(err)
		}
		a, err := New(w.config(), Deps{FS: w.fs, Meta: store, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Dial: dial, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "use a newer build") {
			t.Errorf("%s: %v", name, err)
		}
		r, err := newRegistration(t.Context(), a.process, 1, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.checkLevel(t.Context()); !errors.Is(err, errLevel) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const headsOfLevel1 = 100 // more than one transaction converts

// clusterOfLevel1 returns the store of a cluster of level 1 with some heads.
func clusterOfLevel1(t *testing.T) metadata.Store {
	head, err := hex.DecodeString("0107040a14880e020608a40d070aec0e0208000aec0e0309802014b0098c01808080808040020601b0099003d00fc70108009a018080808040a001070200c801890e0008020a0810")
	if err != nil {
		t.Fatal(err)
	}
	store := metadata.NewMemory().Open()
	put := func(key string, value []byte) {
		if _, err := store.Txn(t.Context(), nil, metadata.Put(key, value)); err != nil {
			t.Fatal(err)
		}
	}
	put(schema.KeyCluster, schema.Cluster{ID: "abc", Level: 1}.Encode())
	for i := range int32(headsOfLevel1) {
		put(schema.HeadKey(id.Partition{Topic: id.Topic{7}, Index: i}), head)
	}
	return store
}
