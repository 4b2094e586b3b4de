package group_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"varve/coordinator"
	"varve/group"
	"varve/group/offsets"
	"varve/internal/testserver"
	"varve/metadata"
	"varve/metadata/schema"
)

// Offsets survive the coordinator in a real etcd.
func TestRealEtcd(t *testing.T) {
	e := testserver.Etcd(t, testserver.EtcdOptions{})
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	cfg := metadata.DefaultConfig()
	cfg.Endpoints = e.Endpoints
	store, err := metadata.Open(t.Context(), cfg, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for round := range int64(3) {
		writer := metadata.NewWriter(store, metadata.DefaultWriterConfig(), log, nil)
		c := group.Open(group.DefaultConfig(), store, writer, nil, nil, log, nil)
		c.OwnSlots(map[int]metadata.Guard{coordinator.SlotOf("g/ü"): {}})
		for { // until the slot is read; the test's own time bounds it
			f, err := c.Fetch(t.Context(), "g/ü", []offsets.TopicPartitions{{Topic: "t", Partitions: []int32{0}}}, true)
			if err != nil {
				continue
			}
			if got := f[0].Partitions[0].Offset; got != 10*round-1 {
				t.Fatalf("round %d begins with offset %d", round, got)
			}
			break
		}
		for n := range int64(10) {
			p := offsets.CommitPartition{OffsetCommit: schema.OffsetCommit{Offset: 10*round + n, LeaderEpoch: -1}}
			r := c.Commit(t.Context(), "g/ü", group.Commit{Generation: -1,
				Topics: []offsets.CommitTopic{{Topic: "t", Partitions: []offsets.CommitPartition{p}}}})
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		c.Close(ctx)
		if err := writer.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}
