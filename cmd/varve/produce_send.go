package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/bench"
	"varve/internal/say"
)

// maxBuffered bounds the records that wait for an acknowledgement.
const maxBuffered = 32 << 20

// producing sends records until one fails.
type producing struct {
	flags  *produceFlags
	topic  string // of lines that name none
	opts   []kgo.Opt
	cl     *kgo.Client
	limits topicLimits
	report func(*kgo.Record) error // of each acknowledged record; may be nil
	meter  bench.Meter
	failed atomic.Int64
	flight flight

	mu    sync.Mutex
	first int64 // the first line that was not written; 0: none
	err   error // what became of it
}

// errSilent reports that nothing was acknowledged in time.
var errSilent = errors.New("no acknowledgement")

func (w *producing) open(ctx context.Context) (err error) {
	w.limits.known = map[string]int{}
	w.limits.kafka = &w.flags.kafka
	w.cl, err = w.flags.kafka.client(ctx, append([]kgo.Opt{kgo.MaxBufferedBytes(maxBuffered), kgo.ProducerBatchMaxBytesFn(w.batchBytes)}, w.opts...)...)
	return err
}

func (w *producing) close() { w.cl.Close() }

// batchBytes bounds the batches of a topic for the client.
func (w *producing) batchBytes(topic string) int32 {
	return int32(max(w.limits.batch(topic), minBatch))
}

func (w *producing) all(ctx context.Context, lines *lineReader, in io.Reader) error {
	sending, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() { defer close(watched); w.watch(done, stop) }()
	reading := lines.each(sending, in, func(r *kgo.Record, line int64) error { return w.send(sending, r, line, stop) })
	flushed := w.cl.Flush(ctx)
	close(done)
	<-watched
	switch first, err := w.failure(); {
	case first > 0:
		return w.explain(first, err)
	case ctx.Err() != nil:
		return quietError{exitFailed} // interrupted; the sum shows how far it came
	case reading != nil:
		return reading
	}
	return flushed
}

// send hands a record to the client; one that is too large for the batches of its topic
// goes alone, after all before it.
func (w *producing) send(ctx context.Context, r *kgo.Record, line int64, stop context.CancelCauseFunc) error {
	if r.Topic == "" {
		r.Topic = w.topic
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := w.limits.learn(ctx, w.cl, r.Topic); err != nil {
		return err
	}
	limit, size := w.limits.batch(r.Topic), batchSize(r)
	cl := w.cl
	if size > limit {
		if limit := w.limits.known[r.Topic]; w.flags.compression == "none" && size > limit {
			w.fail(line, tooLarge(r, limit), stop)
			return nil
		}
		if err := w.cl.Flush(ctx); err != nil {
			return nil // what failed is reported by its record
		}
		large, err := w.flags.kafka.client(ctx, append([]kgo.Opt{kgo.MaxBufferedBytes(2 * maxLine), kgo.BrokerMaxWriteBytes(int32(size + 1<<20)), kgo.ProducerBatchMaxBytes(int32(size + clientOverhead))}, w.opts...)...)
		if err != nil {
			return err
		}
		defer large.Close()
		cl = large
	}
	w.produce(ctx, cl, r, line, stop)
	if cl != w.cl || limit < minBatch {
		_ = cl.Flush(ctx) // what failed is reported by its record
	}
	return nil
}

func (w *producing) produce(ctx context.Context, cl *kgo.Client, r *kgo.Record, line int64, stop context.CancelCauseFunc) {
	size := int64(len(r.Key) + len(r.Value))
	n := w.flight.start()
	// The record has no context: one that was sent can't be called back.
	cl.Produce(naming(context.WithoutCancel(ctx), r), r, func(r *kgo.Record, err error) {
		w.flight.end(n)
		if err == nil && w.report != nil {
			err = w.report(r)
		}
		if err != nil {
			if limit := w.limits.of(r.Topic); errors.Is(err, kerr.MessageTooLarge) && limit > 0 {
				err = tooLarge(r, limit)
			}
			w.fail(line, err, stop)
			return
		}
		w.meter.Bytes.Add(size)
		w.meter.Records.Add(1)
	})
}

// watch ends the client when nothing is acknowledged in time.
func (w *producing) watch(done chan struct{}, stop context.CancelCauseFunc) {
	limit := w.flags.kafka.timeout
	tick := time.NewTicker(min(max(limit/20, time.Millisecond), 250*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		quiet, oldest := w.flight.waits()
		if quiet > limit || oldest > 3*limit {
			w.mu.Lock()
			if w.err == nil {
				w.err = errSilent
			}
			w.mu.Unlock()
			stop(errSilent)
			w.cl.Close()
			return
		}
	}
}

func (w *producing) fail(line int64, err error, stop context.CancelCauseFunc) {
	w.failed.Add(1)
	w.mu.Lock()
	if w.first == 0 || line < w.first {
		w.first = line
		if !errors.Is(w.err, errSilent) {
			w.err = err
		}
	}
	w.mu.Unlock()
	stop(err)
}

func (w *producing) failure() (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first, w.err
}

// explain reports which lines are in the topic, and why the others are not.
func (w *producing) explain(first int64, err error) error {
	what := fmt.Sprintf("produce: %s not written, the first is line %d", say.Count(w.failed.Load(), "record was", "records were"), first)
	after := w.meter.Records.Load() - (first - 1)
	switch {
	case first == 1 && after <= 0:
	case after > 0:
		what += fmt.Sprintf(" (all before it were, and %d after it)", after)
	default:
		what += " (all before it were)"
	}
	if errors.Is(err, errSilent) {
		return latef("%s: no acknowledgement within %v; it may have been written all the same. 'varve cluster health' says what is wrong; --timeout waits longer", what, w.flags.kafka.timeout)
	}
	return sayKafka(what, err, "")
}

// flight knows which records wait for an acknowledgement, and since when.
type flight struct {
	mu    sync.Mutex
	next  int64       // number of the next record
	since []time.Time // of the records from next-len(since) on; zero: acknowledged
	heard time.Time   // when the last one was acknowledged, or the first of some sent
}

func (f *flight) start() (n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if len(f.since) == 0 {
		f.heard = now
	}
	f.since = append(f.since, now)
	f.next++
	return f.next - 1
}

func (f *flight) end(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since[n-(f.next-int64(len(f.since)))] = time.Time{}
	f.heard = time.Now()
	for len(f.since) > 0 && f.since[0].IsZero() {
		f.since = f.since[1:]
	}
}

// waits reports for how long nothing was acknowledged, and for how long the oldest
// record waits; 0 if none does.
func (f *flight) waits() (quiet, oldest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.since) == 0 {
		return 0, 0
	}
	return time.Since(f.heard), time.Since(f.since[0])
}
