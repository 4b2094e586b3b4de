// InitProducerID, versions 0 to 5: 3 epochs are bumped (KIP-360), 4 PRODUCER_FENCED
// (KIP-588), 5 TRANSACTION_ABORTABLE (KIP-890).

package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/singleflight"

	"varve/metadata"
	"varve/metadata/schema"
)

// producerBlock is how many producer ids an agent takes at a time, so that most
// are given out without asking etcd.
const producerBlock = 1000

// producerIDs assigns producer ids, each once in the life of the cluster.
type producerIDs struct {
	store metadata.Store
	log   *slog.Logger
	asks  singleflight.Group

	mu struct {
		sync.Mutex
		next, end int64
	}
}

// take returns the next id. One caller at a time asks etcd for a block; the others wait.
func (ids *producerIDs) take(ctx context.Context) (int64, error) {
	for {
		if n, ok := ids.left(); ok {
			return n, nil
		}
		_, err, _ := ids.asks.Do("", func() (any, error) { return nil, ids.refill(ctx) })
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			continue // the caller that asked is gone
		}
		if err != nil {
			return 0, err
		}
	}
}

// left returns an id of the block that was taken last.
func (ids *producerIDs) left() (n int64, ok bool) {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	if ids.mu.next == ids.mu.end {
		return 0, false
	}
	ids.mu.next++
	return ids.mu.next - 1, true
}

// refill takes the next block.
func (ids *producerIDs) refill(ctx context.Context) error {
	first, err := metadata.Add(ctx, ids.store, schema.KeyProducers, producerBlock)
	if err != nil {
		return fmt.Errorf("take producer ids: %w", err)
	}
	ids.mu.Lock()
	defer ids.mu.Unlock()
	ids.mu.next, ids.mu.end = int64(first), int64(first)+producerBlock
	return nil
}

// initProducerID returns a new id. An idempotent producer that lost its way gets one
// too: without a transactional id Kafka keeps no epochs (KIP-360).
func (ids *producerIDs) initProducerID(ctx context.Context, c *caller, req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if err := mayProduce(c, req.TransactionalID); err != nil {
		resp.ErrorCode = err.Code
		return resp
	}
	if req.TransactionalID != nil {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	n, err := ids.take(ctx)
	if err != nil {
		ids.log.Warn("producer id not allocated", "err", err)
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = n, 0
	return resp
}

// mayProduce returns why a caller may have no producer id, or nil: one without a
// transactional id may have it if it may write to any topic (KIP-679).
func mayProduce(c *caller, transactionalID *string) *kerr.Error {
	switch {
	case transactionalID != nil:
		if !c.allowed(opWrite, onTransactionalID, *transactionalID) {
			return kerr.TransactionalIDAuthorizationFailed
		}
	case !c.may(opIdempotentWrite, onCluster, theCluster) && !c.mayAny(opWrite, onTopic):
		return kerr.ClusterAuthorizationFailed
	}
	return nil
}
