package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"

	"varve/metadata"
	"varve/metadata/schema"
)

// backup copies what etcd holds, but for what goes with a session.
func backup(t *testing.T, m *metadata.Memory) (ops []metadata.Op) {
	t.Helper()
	s := m.Open()
	defer s.Close()
	kvs, _, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range kvs {
		if kv.Lease == 0 {
			ops = append(ops, metadata.Put(kv.Key, kv.Value))
		}
	}
	return ops
}

// restored is an etcd that was made of a backup.
func restored(t *testing.T, ops []metadata.Op) *metadata.Memory {
	t.Helper()
	m := metadata.NewMemory()
	s := m.Open()
	defer s.Close()
	for len(ops) > 0 {
		n := min(len(ops), 100)
		if _, err := s.Txn(t.Context(), nil, ops[:n]...); err != nil {
			t.Fatal(err)
		}
		ops = ops[n:]
	}
	return m
}

// TestOlderEtcdIsAccepted: with an etcd that was restored from an older state an agent
// doesn't start, unless it is asked to: then it goes on, and nothing is destroyed that the
// older etcd doesn't know.
func TestOlderEtcdIsAccepted(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	if _, err := kadm.NewClient(one.client()).CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	one.produce("t", 0, 100)
	if err := one.stop(); err != nil { // uploads
		t.Fatal(err)
	}
	old := backup(t, w.meta)
	one = w.start()
	one.produce("t", 100, 200)
	adm := kadm.NewClient(one.client())
	for _, name := range strings.Fields("a b c d e f g h i j k l m n o p q r") {
		if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, name); err != nil {
			t.Fatal(err)
		}
	}
	journal, inc := one.own.ID(), one.inc
	one.crash()
	w.meta = restored(t, old)

	meta := w.meta.Open()
	a, err := New(w.config(), Deps{FS: w.fs, Meta: meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Dial: dial, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(context.Background()); !errors.Is(err, metadata.ErrOlder) {
		t.Fatalf("an older etcd: %v", err)
	}
	meta.Close()

	w.change = func(c *Config) { c.AcceptOlderEtcd = true }
	one = w.start()
	names, err := w.fs.List("data/journal-set-aside")
	if err != nil || len(names) == 0 || !strings.HasPrefix(names[0], journal.String()+".") {
		t.Fatalf("set aside are %q, %v; the journal was %v", names, err, journal)
	}
	if one.inc <= inc+skippedIncarnations/2 {
		t.Errorf("incarnation %v after %v", one.inc, inc)
	}
	one.consume("t", 100)      // what the older etcd knows of
	one.produce("t", 100, 200) // which the records that are set aside were, too
	if kv, err := one.deps.Meta.Get(t.Context(), schema.KeyGarbageHeld); err != nil || len(kv.Value) == 0 {
		t.Errorf("garbage isn't held: %v", err)
	}
	if err := one.stop(); err != nil {
		t.Fatal(err)
	}
	w.change = nil
	one = w.start() // as always
	one.consume("t", 200)
	if now, err := w.fs.List("data/journal-set-aside"); err != nil || len(now) != len(names) {
		t.Errorf("set aside are %q now, %v", now, err)
	}
}
