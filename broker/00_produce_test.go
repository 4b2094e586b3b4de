package broker

import (
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/partition"
)

func (f *fetchBench) Get(p id.Partition) *partition.Partition { return f.parts[p.Index] }
func (f *fetchBench) Changed() <-chan struct{}                { return nil }

// The time of an append, and what a record's timestamp is compared with, is that of the
// partition's clock, whenever the broker believes that the request arrived.
func TestAppendsGoByThePartitionsClock(t *testing.T) {
	const now, hour = 1_000_000_000_000, 3_600_000
	f := newFetchBench(t, 1)
	f.deps.Clock = func() int64 { return now }
	api := &produceAPI{opening: newOpening(&Deps{Partitions: f})}
	send := func(s partition.Settings, at int64) (*produceSlot, error) {
		s.MaxMessageBytes, s.KeepCompression = 1<<20, true
		f.parts[0].Configure(&s)
		b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: at, Value: []byte("v")}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		slot := &produceSlot{call: &produceCall{request: request{arrived: time.Now()}}}
		slot.call.req.Version, slot.call.req.Acks = 9, 1
		slot.call.left.Store(2)
		err = api.appendTo(t.Context(), &cluster.Topic{Topic: schema.Topic{Partitions: 1}}, nil, slot, b)
		for _, commit := range f.held {
			commit()
		}
		f.held = nil
		return slot, err
	}
	slot, err := send(partition.Settings{LogAppendTime: true}, now-hour)
	if err != nil || slot.err != nil || !slot.done || slot.stamp != now {
		t.Fatalf("answered with the time %d, %v, %v", slot.stamp, err, slot.err)
	}
	if b := kafka.Batch(f.body); b.MaxTimestamp() != now || !b.IsLogAppendTime() {
		t.Errorf("stored with the time %d", b.MaxTimestamp())
	}
	bounds := partition.Settings{TimestampBefore: hour, TimestampAfter: hour}
	for at, taken := range map[int64]bool{now: true, now - hour: true, now + hour: true, now - hour - 1: false, now + hour + 1: false} {
		if slot, err := send(bounds, at); (err == nil) != taken || slot.stamp != -1 {
			t.Errorf("a record of %d ms: %v, answered with the time %d", at-now, err, slot.stamp)
		}
	}
}
