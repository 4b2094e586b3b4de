package offsets

import (
	"errors"
	"maps"
	"testing"
	"time"

	"varve/metadata"
	"varve/metadata/schema"
)

// A value of an earlier version that is divided in several transactions may be found in
// between by another coordinator: nothing is lost, and nothing that was deleted comes back.
func TestOldOffsetsAreDividedInSteps(t *testing.T) {
	const shards, emptied = 130, 100
	old := schema.Offsets{}
	for p := range int32(shards * schema.OffsetsShard) {
		old[p] = schema.OffsetCommit{Offset: int64(p), Committed: time.UnixMilli(1e12)}
	}
	stored := map[Shard]schema.Offsets{{Topic: "t"}: old}
	cfg := DefaultConfig()
	o := Load(&cfg, clone(stored))
	ops := o.Store("g", 0)
	var gone []int32
	for i := range int32(schema.OffsetsShard) {
		gone = append(gone, emptied*schema.OffsetsShard+i)
	}
	o.Delete(TopicPartitions{"t", gone}, Shards{})
	deleted := false
	for n := 0; o.Changed(); n++ {
		if n > 10 {
			t.Fatal("it never ends")
		}
		for _, op := range ops {
			_, topic, shard, err := schema.ParseOffsetsKey(op.Key)
			if err != nil {
				t.Fatal(err)
			}
			at := Shard{topic, shard}
			deleted = deleted || at.N == emptied
			if delete(stored, at); op.Delete {
				continue
			}
			if at, stored[at], err = Decode(metadata.KV{Key: op.Key, Value: op.Value}); err != nil {
				t.Fatal(err)
			}
		}
		o.Stored()
		ops = o.Store("g", 0)
		want := maps.Clone(old)
		if deleted {
			for _, p := range gone {
				delete(want, p)
			}
		}
		got := schema.Offsets{}
		for _, o := range Durable(Load(&cfg, clone(stored))) {
			maps.Copy(got, o)
		}
		if !maps.Equal(got, want) {
			t.Fatalf("after write %d another coordinator finds %d offsets, %d are wanted", n, len(got), len(want))
		}
	}
	if len(stored) != shards-1 || len(stored[Shard{"t", 0}]) != schema.OffsetsShard {
		t.Errorf("%d keys are left, %d partitions in the first", len(stored), len(stored[Shard{"t", 0}]))
	}
}

// What a group's offsets may take in all is bounded; to replace one is always possible.
func TestOffsetsOfAGroupAreBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.OffsetsMaxBytes = 64 << 10
	o := New(&cfg)
	fill := func(p int32, size int) error {
		return commit(o, p, 1, string(make([]byte, size)))
	}
	n := int32(0)
	var err error
	for ; err == nil; n++ {
		err = fill(n, 1000)
	}
	want(t, "one too many", err, ErrTooLarge)
	if most := int32(cfg.OffsetsMaxBytes / (1000 + maxOffsetBytes)); n-1 != most {
		t.Errorf("%d fit, %d should", n-1, most)
	}
	want(t, "the same again", fill(0, 1000), nil)
	want(t, "a smaller one", fill(1, 10), nil)
	want(t, "one in its place", fill(n, 900), nil)
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
	o := New(&cfg)
	for p := range int32(schema.OffsetsShard) {
		want(t, "commit", commit(o, p, 1<<62, text), nil)
	}
	if n := len(o.part(Shard{"t", 0}).wanted().Encode()); n > maxShardBytes {
		t.Errorf("%d bytes", n)
	}
	cfg.OffsetMetadataMaxBytes++
	if cfg.Validate() == nil {
		t.Error("more is allowed")
	}
}

// commit commits one partition's offset of the topic t.
func commit(o *Offsets, partition int32, offset int64, text string) error {
	c := CommitPartition{partition, schema.OffsetCommit{Offset: offset, LeaderEpoch: -1, Metadata: text}}
	errs, _, _ := o.Commit(time.UnixMilli(1e12), 0, []CommitTopic{{"t", []CommitPartition{c}}})
	return errs[0][0]
}

func clone(stored map[Shard]schema.Offsets) map[Shard]schema.Offsets {
	all := map[Shard]schema.Offsets{}
	for at, o := range stored {
		all[at] = maps.Clone(o)
	}
	return all
}

func want(t *testing.T, what string, err, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) || wanted == nil && err != nil {
		t.Fatalf("%s: %v, want %v", what, err, wanted)
	}
}
