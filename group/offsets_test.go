package group

import (
	"maps"
	"slices"
	"testing"
	"time"

	"varve/metadata"
)

// A value of an earlier version that is divided in several transactions may be found in
// between by another coordinator: nothing is lost, and nothing that was deleted comes back.
func TestOldOffsetsAreDividedInSteps(t *testing.T) {
	const shards, emptied = 130, 100
	old := metadata.Offsets{}
	for p := range int32(shards * metadata.OffsetsShard) {
		old[p] = metadata.OffsetCommit{Offset: int64(p)}
	}
	stored := map[Shard]metadata.Offsets{{Topic: "t"}: old}
	cfg, now := DefaultConfig(), time.UnixMilli(1e12)
	g := Load("g", &cfg, &metadata.Group{}, clone(stored))
	var write *Write
	step := func(e Event) {
		for _, f := range g.Step(now, e) {
			if w, ok := f.(Write); ok {
				write = &w
			}
		}
	}
	step(Loaded{})
	var gone []int32
	for i := range int32(metadata.OffsetsShard) {
		gone = append(gone, emptied*metadata.OffsetsShard+i)
	}
	step(DeleteOffsets{Ticket: 1, Topics: []TopicPartitions{{"t", gone}}})
	deleted := false
	for n := 0; write != nil; n++ {
		if n > 10 {
			t.Fatal("it never ends")
		}
		w := *write
		write = nil
		for at, o := range w.Offsets {
			stored[at] = maps.Clone(o)
			if len(o) == 0 && !slices.Contains(w.Kept, at) {
				delete(stored, at)
			}
			deleted = deleted || at.N == emptied
		}
		step(Written{})
		want := maps.Clone(old)
		if deleted {
			for _, p := range gone {
				delete(want, p)
			}
		}
		got := metadata.Offsets{}
		for _, o := range durable(Load("g", &cfg, &metadata.Group{}, clone(stored))) {
			maps.Copy(got, o)
		}
		if !maps.Equal(got, want) {
			t.Fatalf("after write %d another coordinator finds %d offsets, %d are wanted", n, len(got), len(want))
		}
	}
	if len(stored) != shards-1 || len(stored[Shard{"t", 0}]) != metadata.OffsetsShard {
		t.Errorf("%d keys are left, %d partitions in the first", len(stored), len(stored[Shard{"t", 0}]))
	}
}

// What a group's offsets may take in all is bounded; to replace one is always possible.
func TestOffsetsOfAGroupAreBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.OffsetsMaxBytes = 64 << 10
	g := New("g", &cfg)
	commit := func(p int32, size int) error {
		e := commitOf("", -1, "t", 1)
		e.Topics[0].Partitions[0].Partition = p
		e.Topics[0].Partitions[0].Metadata = string(make([]byte, size))
		errs, _, _ := g.stageCommit(e)
		return errs[0][0]
	}
	n := int32(0)
	var err error
	for ; err == nil; n++ {
		err = commit(n, 1000)
	}
	want(t, "one too many", err, ErrOffsetsTooLarge)
	if most := int32(cfg.OffsetsMaxBytes / (1000 + maxOffsetBytes)); n-1 != most {
		t.Errorf("%d fit, %d should", n-1, most)
	}
	want(t, "the same again", commit(0, 1000), nil)
	want(t, "a smaller one", commit(1, 10), nil)
	want(t, "one in its place", commit(n, 900), nil)
}

// A shard fits into one value, however long the texts beside its offsets are.
func TestShardFitsOneValue(t *testing.T) {
	cfg := DefaultConfig()
	cfg.OffsetMetadataMaxBytes = maxMetadata
	want(t, "the largest", cfg.Validate(), nil)
	text := ""
	for range maxMetadata {
		text += "\u20ac"
	}
	g := New("g", &cfg)
	for p := range int32(metadata.OffsetsShard) {
		e := commitOf("", -1, "t", 1<<62)
		e.Topics[0].Partitions[0].Partition, e.Topics[0].Partitions[0].Metadata = p, text
		errs, _, _ := g.stageCommit(e)
		want(t, "commit", errs[0][0], nil)
	}
	if n := len(g.part(Shard{"t", 0}).wanted().Encode()); n > maxShardBytes {
		t.Errorf("%d bytes", n)
	}
	cfg.OffsetMetadataMaxBytes++
	if cfg.Validate() == nil {
		t.Error("more is allowed")
	}
}
