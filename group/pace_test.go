package group

import (
	"testing"
	"time"

	"varve/group/offsets"
	"varve/metadata"
	"varve/metadata/schema"
)

// A consumer that commits without pause, in a topic of many partitions, fills no etcd:
// its commits wait, and all are stored.
func TestCommitsKeepPace(t *testing.T) {
	const pace, partitions = 64 << 10, 1000
	inBubble(t, func(t *testing.T, d *driver) {
		d.cfg.StoreBytesPerSecond = pace
		d.restart()
		var parts []offsets.CommitPartition
		for p := range int32(partitions) {
			parts = append(parts, offsets.CommitPartition{Partition: p, OffsetCommit: schema.OffsetCommit{Offset: 1 << 40, LeaderEpoch: -1}})
		}
		commit := func(parts []offsets.CommitPartition) {
			e := Commit{Generation: -1, Topics: []offsets.CommitTopic{{Topic: "t", Partitions: parts}}}
			want(t, "commit", d.Commit(t.Context(), "g", e).Err, nil)
		}
		commit(parts)
		kvs, _, err := d.store.List(t.Context(), schema.PrefixOffsets)
		if err != nil || len(kvs) != 1+(partitions-1)/schema.OffsetsShard {
			t.Fatalf("%d keys, %v", len(kvs), err)
		}
		size := len(kvs[0].Value)
		most := (60*pace+metadata.MaxTxnBytes)/size + 1
		began, n := time.Now(), 0
		for ; time.Since(began) < time.Minute && n <= most; n++ {
			commit(parts[:1])
		}
		if n > most || n < most/2 {
			t.Errorf("%d commits of %d bytes in %v, in a minute %d are allowed", n, size, time.Since(began), most)
		}
	})
}
