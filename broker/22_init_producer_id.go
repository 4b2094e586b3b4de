package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/metadata"
)

// producerBlock is how many producer ids an agent takes at a time, so that most
// are given out without asking etcd.
const producerBlock = 1000

// producerIDs gives out producer ids, each once in the life of the cluster.
type producerIDs struct {
	store metadata.Store
	mu    sync.Mutex
	next  int64
	end   int64
	busy  chan struct{} // not nil while a block is being taken; closed then
}

// take gives the next id. Only one caller asks etcd for a block; the others wait.
func (ids *producerIDs) take(ctx context.Context) (int64, error) {
	for {
		ids.mu.Lock()
		if ids.next < ids.end {
			n := ids.next
			ids.next++
			ids.mu.Unlock()
			return n, nil
		}
		busy := ids.busy
		if busy == nil {
			ids.busy = make(chan struct{})
		}
		ids.mu.Unlock()
		if busy == nil {
			if err := ids.refill(ctx); err != nil {
				return 0, err
			}
			continue
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (ids *producerIDs) refill(ctx context.Context) error {
	first, err := takeProducerBlock(ctx, ids.store)
	ids.mu.Lock()
	defer ids.mu.Unlock()
	close(ids.busy)
	ids.busy = nil
	if err == nil {
		ids.next, ids.end = first, first+producerBlock
	}
	return err
}

func takeProducerBlock(ctx context.Context, store metadata.Store) (int64, error) {
	for {
		kv, err := store.Get(ctx, metadata.KeyProducers)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return 0, fmt.Errorf("read producer ids: %w", err)
		}
		first := int64(0)
		if err == nil {
			if first, err = strconv.ParseInt(string(kv.Value), 10, 64); err != nil {
				return 0, fmt.Errorf("producer ids: %w", err)
			}
		}
		next := strconv.AppendInt(nil, first+producerBlock, 10)
		_, err = store.Txn(ctx, []metadata.Guard{{Key: metadata.KeyProducers, Mod: kv.Mod}}, metadata.Put(metadata.KeyProducers, next))
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("take producer ids: %w", err)
		}
		return first, nil
	}
}

// initProducerID gives a new id. An idempotent producer that lost its way gets one
// too: without a transactional id Kafka keeps no epochs (KIP-360).
func (b *Broker) initProducerID(ctx context.Context, _ *conn, req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if req.TransactionalID != nil {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	n, err := b.producer.take(ctx)
	if err != nil {
		b.log.Warn("producer id not allocated", "err", err)
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = n, 0
	return resp
}
