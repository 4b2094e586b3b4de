package agent

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/partition"
	"varve/s3store"
)

// Offsets by time are found in the tier when the journal's files were recycled, also if
// nothing was written to the partition since.
func TestOffsetsByTimeOfAnIdlePartition(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	began := time.Now().Add(-time.Minute).UnixMilli()
	cl := a.client(kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	produce := func(topic string, at int64, bytes int) {
		t.Helper()
		r := &kgo.Record{Topic: topic, Timestamp: time.UnixMilli(at), Value: make([]byte, bytes)}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	produce("idle", began, 10)
	produce("idle", began+10, 10)
	if err := a.tier.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := a.owned.All()[0]
	adm := kadm.NewClient(a.client())
	ask := func(when string, since, found, newest int64) {
		t.Helper()
		l, err := adm.ListOffsetsAfterMilli(t.Context(), since, "idle")
		if o, _ := l.Lookup("idle", 0); err != nil || o.Err != nil || o.Offset != found {
			t.Errorf("%s, by time: %+v, %v", when, o, err)
		}
		l, err = adm.ListMaxTimestampOffsets(t.Context(), "idle")
		if o, _ := l.Lookup("idle", 0); err != nil || o.Err != nil || o.Offset != newest {
			t.Errorf("%s, the newest: %+v, %v", when, o, err)
		}
	}
	gone := func() bool {
		d, at, _, err := p.ReadNear(partition.Reading{Offset: 0, Limit: 1, Always: true, Epoch: -1})
		d.Release()
		return err == nil && at == partition.InTier
	}
	a.until("the journal's files are recycled", func() bool {
		produce("busy", began, 500<<10)
		if err := a.tier.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		return gone()
	})
	ask("in the tier", began, 0, 1)
	ask("in the tier", began+1, 1, 1)
	produce("idle", began+20, 10)
	ask("with one more in the journal", began+1, 1, 2)
	ask("with one more in the journal", began+11, 2, 2)
	if !gone() {
		t.Error("the files came back")
	}
}

// What the tier is asked for several partitions of one request is asked side by side:
// a request may name thousands.
func TestOffsetsOfSeveralPartitionsAreLookedForTogether(t *testing.T) {
	w := newWorld(t)
	var armed atomic.Bool
	var objects sync.Map
	var read atomic.Int32
	second := make(chan struct{})
	w.bucket = s3store.WithFaults(w.bucket, func(c s3store.Call) s3store.Fault {
		if c.Op == s3store.OpGet && armed.Load() {
			if _, known := objects.LoadOrStore(c.Key, true); !known && read.Add(1) == 2 {
				close(second)
			}
			select {
			case <-second:
			case <-time.After(10 * time.Second): // nobody comes
				return s3store.Fault{Before: errors.New("read alone")}
			}
		}
		return s3store.Fault{}
	})
	w.change = func(c *Config) { c.Upload.BundleBytes, c.Upload.SegmentBytes = 1, 1 } // objects of their own
	a := w.start()
	began := time.Now().Add(-time.Minute).UnixMilli()
	adm := kadm.NewClient(a.client())
	if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	cl := a.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for p := range int32(2) {
		for n := range int64(2) {
			r := &kgo.Record{Topic: "t", Partition: p, Timestamp: time.UnixMilli(began + n), Value: []byte("x")}
			if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.tier.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	l, err := adm.ListMaxTimestampOffsets(t.Context(), "t") // which always asks the tier
	if err != nil || l.Error() != nil {
		t.Fatal(err, l.Error())
	}
	if n := read.Load(); n < 2 {
		t.Errorf("%d objects were read", n)
	}
}
