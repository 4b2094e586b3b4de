package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
	"varve/s3store"
)

// TestUncertainHandOver: a hand-over whose answer was lost may have taken effect. Until
// etcd says which, the partition takes nothing, and no other move touches it; then it is
// the other's.
func TestUncertainHandOver(t *testing.T) {
	w := newWorld(t)
	w.meddle = new(meddled)
	one := w.start()
	one.produce("t", 0, 10)
	p := one.owned.All()[0]
	key := schema.OwnerKey(p.ID())
	owners := make(chan id.Incarnation, 1000) // of heads that were to be written
	tries := make(chan struct{}, 1000)
	var late []metadata.Op // the hand-over, which etcd gets at the end
	w.meddle.set(func(m *meddled) {
		var away atomic.Bool // from the hand-over on
		gone := func(string) error {
			if away.Load() {
				return metadata.ErrUnavailable
			}
			return nil
		}
		m.read = gone
		m.write = func(ops []metadata.Op) error {
			if b := puts(ops, key); b != nil {
				h, err := schema.DecodeOwnership(b)
				if err != nil {
					return err
				}
				owners <- h.Owner
				if h.Owner != one.inc && !away.Swap(true) {
					late = ops
				}
				if away.Load() {
					tries <- struct{}{}
				}
			}
			return gone(key)
		}
	})
	moved := make(chan int, 1)
	go func() {
		moved <- one.serves.mover.Move(t.Context(), time.Second, map[*partition.Partition]cluster.Live{p: {Broker: 2, Agent: schema.Agent{Incarnation: 900}}})
	}()
	for range 3 { // the hand-over was tried again, or taken back, in vain
		<-tries
	}
	other := map[*partition.Partition]cluster.Live{p: {Broker: 3, Agent: schema.Agent{Incarnation: 901}}}
	if n := one.serves.mover.Move(t.Context(), 1500*time.Millisecond, other); n != 0 {
		t.Errorf("%d partitions were moved meanwhile", n)
	}
	select {
	case n := <-moved:
		t.Fatalf("the uncertain move has come to an end, %d were moved", n)
	default:
	}
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: one.millis(), Value: []byte("v")}}, func(kafka.Batch) {})
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.Append(brief, b, one.millis(), id.NoEpoch, make(answer, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an append in between: %v", err)
	}
	if _, err := w.meta.Open().Txn(t.Context(), nil, late...); err != nil {
		t.Fatal(err)
	}
	w.meddle.set(func(m *meddled) { m.read, m.write = nil, nil })
	if n := <-moved; n != 0 {
		t.Errorf("%d were moved", n)
	}
	one.until("it is lost", func() bool { return one.owned.Get(p.ID()) != p })
	if err := p.CheckEpoch(id.NoEpoch); err == nil {
		t.Error("the partition goes on here")
	}
	close(owners)
	for o := range owners {
		if o == 901 {
			t.Error("another move wanted to hand it over while that was uncertain")
		}
	}
}

// TestNoMoveBeginsWithoutEtcd: what is to be moved while etcd is away goes on here, also
// if it waits for no upload.
func TestNoMoveBeginsWithoutEtcd(t *testing.T) {
	w := newWorld(t)
	w.meddle = new(meddled)
	one := w.start()
	one.produce("t", 0, 10)
	if err := one.tier.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := one.owned.All()[0]
	away := func(away bool) {
		w.meddle.set(func(m *meddled) {
			m.read, m.write = nil, nil
			if away {
				m.read = func(string) error { return metadata.ErrUnavailable }
				m.write = func([]metadata.Op) error { return metadata.ErrUnavailable }
			}
		})
	}
	away(true)
	defer away(false)
	moved := make(chan int, 1)
	go func() {
		moved <- one.serves.mover.Move(t.Context(), 5*time.Second, map[*partition.Partition]cluster.Live{p: {Broker: 2, Agent: schema.Agent{Incarnation: 900}}})
	}()
	select {
	case n := <-moved:
		if n != 0 {
			t.Errorf("%d were moved", n)
		}
	case <-time.After(patience):
		t.Error("the move has come to no end")
	}
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: one.millis(), Value: []byte("v")}}, func(kafka.Batch) {})
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Append(brief, b, one.millis(), id.NoEpoch, make(answer, 1)); err != nil {
		t.Errorf("an append: %v", err)
	}
}

// TestMoveDoesNotWaitForTheBucket: partitions that stand still to be handed over go on soon
// if their last records can't be uploaded.
func TestMoveDoesNotWaitForTheBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meddle = new(meddled)
	var away, asked atomic.Bool
	w.bucket = s3store.WithFaults(w.bucket, func(s3store.Call) s3store.Fault {
		if away.Load() {
			return s3store.Fault{Before: errors.New("the bucket is away")}
		}
		return s3store.Fault{}
	})
	one := w.start()
	one.produce("t", 0, 10)
	w.meddle.set(func(m *meddled) {
		m.read = func(key string) error {
			if key == schema.AgentKey(one.self) && !asked.Swap(true) { // just before they stand still
				one.produce("t", 10, 11)
				away.Store(true)
			}
			return nil
		}
	})
	p := one.owned.All()[0]
	began := time.Now()
	if n := one.serves.mover.Move(t.Context(), time.Minute, map[*partition.Partition]cluster.Live{p: {Broker: 2, Agent: schema.Agent{Incarnation: 900}}}); n != 0 {
		t.Errorf("%d were moved", n)
	}
	if took := time.Since(began); !away.Load() || took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	away.Store(false)
	one.produce("t", 11, 12)
}
