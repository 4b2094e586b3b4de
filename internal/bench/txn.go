package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrNoTransactions: the broker has no transactions.
var ErrNoTransactions = errors.New("the broker has no transactions")

// NeedTransactions returns ErrNoTransactions if the broker has none.
func NeedTransactions(ctx context.Context, c *Config) error {
	cl, err := kgo.NewClient(c.options(kgo.TransactionalID("varve-bench"))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	_, _, err = cl.ProducerID(ctx)
	if errors.Is(err, kerr.InvalidRequest) || errors.Is(err, kerr.UnsupportedVersion) {
		return ErrNoTransactions
	}
	return err
}

// Transactions measures transactions: each of Connections producers has a
// transactional id of its own. One transaction after another writes TxnRecords
// records, each to the next partition, and commits. Result.Latency is of whole
// transactions, Result.Commit of their ends.
func Transactions(ctx context.Context, c Config) (*Result, error) {
	run := time.Now().UnixNano()
	producers, err := clients(&c, func(n int) (*kgo.Client, error) {
		return kgo.NewClient(c.options(kgo.DefaultProduceTopic(c.Topic), kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(int32(c.BatchBytes)),
			kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.TransactionalID(fmt.Sprintf("varve-bench-%x-%d", run, n)), kgo.TransactionTimeout(30*time.Second),
			kgo.RecordDeliveryTimeout(time.Minute))...)
	})
	if err != nil {
		return nil, err
	}
	defer closeAll(producers)
	for _, cl := range producers {
		if _, _, err := cl.ProducerID(ctx); err != nil {
			return nil, fmt.Errorf("begin to use a transactional id: %w", err)
		}
	}
	var whole, commit histogram
	var failed failures
	var n atomic.Int64
	r := &Result{Mode: "txn"}
	err = meteredRun(&c, r, func() (int64, int64, error) {
		until, cancel := context.WithTimeout(ctx, c.Duration)
		defer cancel()
		life, end := producing(ctx, &c)
		defer end()
		var wg sync.WaitGroup
		for i, cl := range producers {
			wg.Go(func() {
				values := payloads(&c, uint64(i))
				for until.Err() == nil {
					began := time.Now()
					committing, err := transact(life, cl, &c, values)
					if err != nil {
						failed.add(err)
						return // the client can't go on
					}
					commit.add(time.Since(committing))
					whole.add(time.Since(began))
					n.Add(1)
					c.Meter.add(int64(c.TxnRecords)*int64(c.RecordBytes), int64(c.TxnRecords))
				}
			})
		}
		wg.Wait()
		records := n.Load() * int64(c.TxnRecords)
		return records * int64(c.RecordBytes), records, nil
	})
	if err != nil {
		return nil, err
	}
	r.Transactions, r.Latency, r.Commit = float64(n.Load())/r.Seconds, whole.latency(), commit.latency()
	failed.fill(r)
	return r, nil
}

// transact makes one transaction, and returns when its commit began.
func transact(ctx context.Context, cl *kgo.Client, c *Config, values [][]byte) (committing time.Time, err error) {
	if err := cl.BeginTransaction(); err != nil {
		return committing, err
	}
	var failed failures
	for n := range c.TxnRecords {
		cl.Produce(ctx, &kgo.Record{Value: values[n%len(values)]}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.add(err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return committing, err
	}
	if failed.first != nil {
		return committing, failed.first
	}
	committing = time.Now()
	return committing, cl.EndTransaction(ctx, kgo.TryCommit)
}
