package kafka

import (
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestEmptyBatches: they span the offsets that were asked for, are intact and without
// records, and a client that meets one goes on after it.
func TestEmptyBatches(t *testing.T) {
	for _, x := range [][2]int64{{0, 1}, {60, 100}, {1 << 40, 1<<40 + math.MaxInt32}} {
		b := Empty(x[0], x[1], 7)
		if b.BaseOffset() != x[0] || b.NextOffset() != x[1] || b.LeaderEpoch() != 7 || b.Size() != len(b) || b.Count() != 0 || b.CheckCRC() != nil {
			t.Errorf("%v: %d to %d in epoch %d, %d records, %v", x, b.BaseOffset(), b.NextOffset(), b.LeaderEpoch(), b.Count(), b.CheckCRC())
		}
		if b.BaseTimestamp() != -1 || b.MaxTimestamp() != -1 || b.ProducerID() != -1 {
			t.Errorf("%v: timestamps %d and %d, producer %d", x, b.BaseTimestamp(), b.MaxTimestamp(), b.ProducerID())
		}
		if err := b.Records(1<<20, func(*Record) error { t.Error("a record"); return nil }); err != nil {
			t.Error(err)
		}
		p := kmsg.FetchResponseTopicPartition{RecordBatches: b, HighWatermark: x[1]}
		if got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: x[0], Topic: "t"}, &p, kgo.DefaultDecompressor(), nil); len(got.Records) != 0 || got.Err != nil || next != x[1] {
			t.Errorf("%v: a client reads %d records, %v, and goes on at %d", x, len(got.Records), got.Err, next)
		}
	}
}
