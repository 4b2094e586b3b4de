package broker

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
)

// closedFor is a set of partitions none of which is ever served.
type closedFor struct{ changed chan struct{} }

func (closedFor) Get(id.Partition) *partition.Partition { return nil }
func (c closedFor) Changed() <-chan struct{}            { return c.changed }

// A request that names many partitions which this agent owns and can't open is held no
// longer than one that names one of them; requests after it are not held again.
func TestOneRequestIsHeldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := metadata.NewMemory().Open()
		defer store.Close()
		topic := id.Topic{1}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		view := cluster.NewView(store, slog.New(slog.DiscardHandler))
		go view.Run(ctx)
		agent := schema.Agent{Incarnation: 5}
		owner := schema.Ownership{Owner: 5, Broker: 1}
		ops := []metadata.Op{metadata.Put(schema.AgentKey(1), agent.Encode())}
		for i := range int32(100) {
			ops = append(ops, metadata.Put(schema.OwnerKey(id.Partition{Topic: topic, Index: i}), owner.Encode()))
		}
		if _, err := store.Txn(ctx, nil, ops...); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		o := newOpening(&Deps{View: view, Store: store, Partitions: closedFor{make(chan struct{})}, Self: 1})
		ask := func() time.Duration {
			began := time.Now()
			for i := range int32(100) {
				if _, err := o.partition(ctx, began, id.Partition{Topic: topic, Index: i}); err != kerr.NotLeaderForPartition {
					t.Fatalf("partition %d: %v", i, err)
				}
			}
			return time.Since(began)
		}
		if took := ask(); took != holdPatience {
			t.Errorf("a request for 100 partitions was held for %v", took)
		}
		time.Sleep(holdPatience) // fake
		if took := ask(); took != 0 {
			t.Errorf("the next one was held for %v", took)
		}
	})
}

// A partition that was waited for in vain is waited for again when it comes back in a later
// epoch.
func TestEachEpochIsHeld(t *testing.T) {
	o := newOpening(&Deps{})
	at, now := id.Partition{}, time.Unix(1_790_000_000, 0)
	first := o.until(at, 3, now)
	if again := o.until(at, 3, now.Add(time.Hour)); again != first {
		t.Errorf("in the same epoch it is held until %v, then %v", first, again)
	}
	if later := o.until(at, 4, now.Add(time.Hour)); later != now.Add(time.Hour+holdPatience) {
		t.Errorf("in the next epoch it is held until %v", later)
	}
}

// slowStore answers after a while.
type slowStore struct {
	metadata.Store
	asked int
}

func (s *slowStore) Get(ctx context.Context, _ string) (metadata.KV, error) {
	s.asked++
	select {
	case <-time.After(150 * time.Millisecond):
		return metadata.KV{}, metadata.ErrNotFound
	case <-ctx.Done():
		return metadata.KV{}, ctx.Err()
	}
}

// A request with many unknown names waits for a slow etcd once.
func TestSlowEtcdIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{}
		o := newOpening(&Deps{View: cluster.NewView(nil, nil), Store: store})
		began := time.Now()
		for i := range 50 {
			if _, err := o.topic(t.Context(), false, fmt.Sprint("unknown-", i), id.Topic{}); err != kerr.UnknownTopicOrPartition {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > askPatience || store.asked != 1 {
			t.Errorf("50 names took %v, etcd was asked %d times", took, store.asked)
		}
	})
}
