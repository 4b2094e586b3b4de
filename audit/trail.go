// Package audit writes the lines of the audit log into a topic as well. It keeps those that the
// topic doesn't have yet in memory, and hands them on in batches, in order.
//
// A line is never waited for: what logs it goes on at once. A line that was taken is written to
// the topic at least once, unless the process ends before, or the topic never accepts it. A line
// that finds no room is dropped and counted. The package knows neither topics nor agents; those
// are behind Sink.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/backoff"
	"varve/internal/chance"
	"varve/internal/notify"
	"varve/kafka"
)

// Sink is where batches of lines go.
type Sink interface {
	// Store returns nil after the batch is stored durably. ErrRefused: it will never be stored as
	// it is. After any other error it may be stored or not, and is to be tried again. Store may
	// change the batch.
	Store(ctx context.Context, b kafka.Batch) error
}

// ErrRefused: a batch can't be stored as it is, such as one that is larger than the topic allows.
var ErrRefused = errors.New("batch refused")

// What a batch contains at most, and how long lines are gathered for it. A line that is larger
// is a batch of its own.
const (
	batchLines = 1000
	batchBytes = 512 << 10
	gatherFor  = 100 * time.Millisecond
)

// storePatience bounds one attempt to store a batch.
const storePatience = 10 * time.Second

// warnAfter is for how long batches may fail before that is logged: a partition that changes
// its owner is away for a moment.
const warnAfter = 5 * time.Second

var retries = backoff.Policy{Base: 50 * time.Millisecond, Max: 2 * time.Second}

// Options are what a Trail needs.
type Options struct {
	Key      []byte // of each record
	Now      func() time.Time
	Log      *slog.Logger // about the topic; these lines don't go there
	Registry prometheus.Registerer
}

// Trail is the lines on their way into the topic.
type Trail struct {
	opts    Options
	queue   *queue
	handler slog.Handler
	metrics *metrics
	stored  notify.Broadcast // when lines have left the queue
}

// New makes a Trail; Run empties it.
func New(o Options) *Trail {
	m := newMetrics(o.Registry)
	q := newQueue(o.Now, m.dropped)
	json := slog.NewJSONHandler(q, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: readable})
	return &Trail{opts: o, queue: q, handler: json, metrics: m}
}

// Handler takes the lines for the topic, of level info and above. It never blocks.
func (t *Trail) Handler() slog.Handler { return t.handler }

// readable writes ids and the like as they are in the log.
func readable(_ []string, a slog.Attr) slog.Attr {
	if s, ok := a.Value.Any().(fmt.Stringer); ok && a.Value.Kind() == slog.KindAny {
		a.Value = slog.StringValue(s.String())
	}
	return a
}

// Run stores what is queued, until ctx ends.
func (t *Trail) Run(ctx context.Context, sink Sink, random *chance.Source) {
	w := &writer{Trail: t, sink: sink, most: batchLines, retry: backoff.Retry{Policy: retries, Random: random}}
	for t.queue.gather(ctx) == nil {
		w.store(ctx)
	}
}

// Flush waits until the topic has all lines, or ctx ends. It returns the number of lines that
// the topic may lack.
func (t *Trail) Flush(ctx context.Context) (left int) {
	for {
		stored := t.stored.Next()
		if left = t.queue.len(); left == 0 {
			return 0
		}
		select {
		case <-stored:
		case <-ctx.Done():
			return left
		}
	}
}
