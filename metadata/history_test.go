package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"varve/metadata"
)

// fillEtcd writes one key over and over until there is no room, which its history takes.
func fillEtcd(t *testing.T, s metadata.Store) {
	t.Helper()
	value := strings.Repeat("x", 1<<20)
	for range 200 {
		_, err := s.Txn(t.Context(), nil, metadata.Put("big", []byte(value)))
		switch {
		case errors.Is(err, metadata.ErrUnavailable) && strings.Contains(err.Error(), "space"):
			return
		case err != nil:
			t.Fatal(err)
		}
	}
	t.Fatal("etcd never got full")
}

// A full etcd takes writes again: after a reclaim, and after a restart.
func TestFullEtcdMakesRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() *metadata.Embedded {
		e, err := metadata.StartEmbedded(t.Context(), metadata.EmbedConfig{Dir: dir, QuotaBytes: 16 << 20, Logger: testLogger(t)})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := start()
	s := open(t, e.Config())
	if full, err := s.(metadata.Tidier).Reclaim(t.Context()); full || err != nil {
		t.Errorf("an empty etcd is full: %v, %v", full, err)
	}
	fillEtcd(t, s)
	if full, err := s.(metadata.Tidier).Reclaim(t.Context()); !full || err != nil {
		t.Errorf("a full etcd: %v, %v", full, err)
	}
	fillEtcd(t, s) // there was room
	closeAll(t, e)
	e = start()
	defer closeAll(t, e)
	s = open(t, e.Config())
	put(t, s, "small", "fits")
	if kv, err := s.Get(t.Context(), "big"); err != nil || len(kv.Value) != 1<<20 {
		t.Errorf("%d bytes, %v: the newest value must stay", len(kv.Value), err)
	}
}

// KeepHistory compacts what is old, and only while it is its turn.
func TestKeepHistoryCompacts(t *testing.T) {
	t.Parallel()
	s := open(t, embedded(t, t.TempDir()).Config())
	watcher := &compactions{Store: s, tidier: s.(metadata.Tidier), made: make(chan metadata.Revision)}
	ctx, cancel := context.WithCancel(t.Context())
	mine, ended := make(chan bool), make(chan struct{})
	go func() {
		defer close(ended)
		metadata.KeepHistory(ctx, watcher, 20*time.Millisecond, func() bool { return <-mine }, testLogger(t))
	}()
	for range 5 { // not its turn
		mine <- false
	}
	before := put(t, s, "k", "v0")
	var after metadata.Revision
	for n := 1; after == 0; n++ {
		select {
		case mine <- true:
			put(t, s, "k", fmt.Sprintf("v%d", n))
		case after = <-watcher.made:
		}
	}
	if after < before {
		t.Errorf("compacted to %d, of which %d is younger", after, before)
	}
	cancel()
	close(mine)
	for {
		select {
		case <-watcher.made:
			continue
		case <-ended:
		}
		break
	}
	if kv, err := s.Get(t.Context(), "k"); err != nil || !strings.HasPrefix(string(kv.Value), "v") {
		t.Errorf("%q, %v", kv.Value, err)
	}
}

// compactions tells of each.
type compactions struct {
	metadata.Store
	tidier metadata.Tidier
	made   chan metadata.Revision
}

func (c *compactions) Compact(ctx context.Context, rev metadata.Revision) error {
	if err := c.tidier.Compact(ctx, rev); err != nil {
		return err
	}
	c.made <- rev
	return nil
}

func (c *compactions) Reclaim(ctx context.Context) (bool, error) { return c.tidier.Reclaim(ctx) }
