package audit

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"varve/internal/backoff"
	"varve/kafka"
)

// writer stores lines, a batch at a time. It is Run's goroutine's.
type writer struct {
	*Trail
	sink   Sink
	retry  backoff.Retry
	most   int       // lines of the next batch
	failed time.Time // when the first attempt failed of those that fail now; zero: none does
	warned bool      // that they fail
}

// store stores the next batch. It tries until the batch is stored or refused, or ctx ends; the lines
// leave the queue then. A batch that is refused is tried in parts.
func (w *writer) store(ctx context.Context) {
	for {
		lines := w.queue.front(w.most)
		err := w.try(ctx, lines)
		switch {
		case err == nil:
			w.most = min(2*w.most, batchLines)
			w.wrote(len(lines))
			return
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrRefused) && len(lines) > 1:
			w.most = len(lines) / 2
			continue
		case errors.Is(err, ErrRefused):
			w.refused(lines[0], err)
			return
		}
		w.fails(err)
		if w.retry.Wait(ctx) != nil {
			return
		}
	}
}

// try makes one attempt.
func (w *writer) try(ctx context.Context, lines []line) error {
	records := make([]kafka.NewRecord, len(lines))
	for i, l := range lines {
		records[i] = kafka.NewRecord{Timestamp: l.at, Key: w.opts.Key, Value: l.text}
	}
	b, err := kafka.Build(kafka.None, records, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	return w.sink.Store(ctx, b)
}

// fails takes an attempt that failed.
func (w *writer) fails(err error) {
	now := time.Now()
	if w.failed.IsZero() {
		w.failed = now
	}
	if !w.warned && now.Sub(w.failed) >= warnAfter {
		w.warned = true
		w.opts.Log.Warn("audit topic can't be written, lines are kept in memory meanwhile", "lines", w.queue.len(), "err", err)
	}
}

// wrote takes n lines that the topic has.
func (w *writer) wrote(n int) {
	w.metrics.written.Add(float64(n))
	w.leave(n)
	if lost := w.queue.takeLost(); lost > 0 {
		const text = "audit lines are missing in the topic, there was no room for them"
		w.opts.Log.Warn(text, "lines", lost)
		slog.New(w.handler).Warn(text, "part", "audit", "lines", lost)
	}
}

// refused takes a line that the topic doesn't accept.
func (w *writer) refused(l line, err error) {
	w.metrics.dropped.Inc()
	w.opts.Log.Warn("audit topic doesn't accept a line, it is dropped there", "bytes", len(l.text), "err", err)
	w.leave(1)
}

// leave takes n lines out of the queue: the topic answered.
func (w *writer) leave(n int) {
	if w.warned {
		w.opts.Log.Info("audit topic is written again", "after", time.Since(w.failed))
	}
	w.failed, w.warned = time.Time{}, false
	w.retry.Reset()
	w.queue.remove(n)
	w.stored.Send()
}
