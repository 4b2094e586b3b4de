package group

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/coordinator"
	"varve/group/offsets"
	"varve/metadata"
	"varve/metadata/schema"
)

// countingReader counts how often a key is read, and lets reads wait while the gate's
// token is away. The key that tells whether the store is there passes.
type countingReader struct {
	coordinator.Reader
	gets atomic.Int64
	gate chan struct{} // has one token
}

func counted(r coordinator.Reader) *countingReader {
	c := &countingReader{Reader: r, gate: make(chan struct{}, 1)}
	c.gate <- struct{}{}
	return c
}

func (r *countingReader) Get(ctx context.Context, key string) (metadata.KV, error) {
	if key != schema.KeyCluster {
		r.gate <- <-r.gate
		r.gets.Add(1)
	}
	return r.Reader.Get(ctx, key)
}

// guarded makes the coordinator anew, with one group's slot under a guard in the store.
func (d *driver) guarded(group string) (*countingReader, metadata.Guard) {
	d.t.Helper()
	d.stop()
	key := schema.SlotKey(coordinator.SlotOf(group))
	rev, err := d.store.Txn(d.t.Context(), nil, metadata.Put(key, []byte("ours")))
	want(d.t, "slot", err, nil)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	r := counted(d.store)
	d.writer = metadata.NewWriter(d.store, metadata.DefaultWriterConfig(), log, nil)
	d.Groups = Open(d.cfg, r, d.writer, d.topics, nil, log, nil)
	guard := metadata.Guard{Key: key, Mod: rev}
	d.OwnSlots(map[int]metadata.Guard{coordinator.SlotOf(group): guard})
	synctest.Wait()
	r.gets.Store(0)
	return r, guard
}

var (
	askedT    = []offsets.TopicPartitions{{Topic: "t", Partitions: []int32{0}}}
	askedMore = []offsets.TopicPartitions{{Topic: "t", Partitions: []int32{0, 1}}}
)

// Promise 3, of groups: a coordinator that was replaced and doesn't know it doesn't answer
// that there is no offset, nor what a settled reader relies on.
func TestReplacedCoordinatorAnswersNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		_, guard := d.guarded("g")
		want(t, "commit", d.Commit(t.Context(), "g", commitOf("", -1, "t", 5)).Err, nil)
		f, err := d.Fetch(t.Context(), "g", askedMore, true)
		want(t, "fetch by the owner", err, nil)
		if p := f[0].Partitions; p[0].Offset != 5 || p[1].Offset != -1 {
			t.Fatalf("fetched %+v", f)
		}
		_, err = d.store.Txn(t.Context(), nil, metadata.Put(guard.Key, []byte("another's")))
		want(t, "taking the slot", err, nil)
		for name, c := range map[string]struct {
			group   string
			topics  []offsets.TopicPartitions
			settled bool
			err     error
		}{
			"an offset that is known": {"g", askedT, false, nil},
			"the same, settled":       {"g", askedT, true, coordinator.ErrNotCoordinator},
			"no offset":               {"g", askedMore, false, coordinator.ErrNotCoordinator},
			"all there are":           {"g", nil, false, coordinator.ErrNotCoordinator},
		} {
			_, err := d.Fetch(t.Context(), c.group, c.topics, c.settled)
			want(t, name, err, c.err)
		}
		_, err = d.store.Txn(t.Context(), nil, metadata.Delete(guard.Key))
		want(t, "the slot's end", err, nil)
		_, err = d.Fetch(t.Context(), "g", askedMore, false)
		want(t, "no offset, and nobody's slot", err, coordinator.ErrNotCoordinator)
	})
}

// Promise 5: while the store is away what is known is answered, and that there is no
// offset is not said, within a bounded time.
func TestNoOffsetIsNotSaidWhileAway(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		d.guarded("g")
		want(t, "commit", d.Commit(t.Context(), "g", commitOf("", -1, "t", 5)).Err, nil)
		d.memory.SetAvailable(false)
		if n := d.offset("g", "t"); n != 5 {
			t.Fatalf("offset %d", n)
		}
		begun := time.Now()
		_, err := d.Fetch(t.Context(), "g", askedMore, false)
		want(t, "no offset", err, coordinator.ErrAway)
		if took := time.Since(begun); took > confirmPatience {
			t.Errorf("took %v", took)
		}
		d.memory.SetAvailable(true)
		_, err = d.Fetch(t.Context(), "g", askedMore, false)
		want(t, "no offset, with the store back", err, nil)
	})
}
