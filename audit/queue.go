package audit

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/notify"
)

// queueBytes bounds the lines that wait, with what the queue needs for each.
const (
	queueBytes   = 4 << 20
	lineOverhead = 64
)

// line is one line of the log.
type line struct {
	at   int64 // ms
	text []byte
}

func (l *line) size() int { return len(l.text) + lineOverhead }

// queue is the lines that the topic doesn't have, in order.
type queue struct {
	now     func() time.Time
	dropped prometheus.Counter
	added   notify.Signal
	mu      struct {
		sync.Mutex
		lines []line // the oldest first
		bytes int    // their sizes
		lost  int    // lines that found no room, since takeLost
	}
}

func newQueue(now func() time.Time, dropped prometheus.Counter) *queue {
	return &queue{now: now, dropped: dropped, added: notify.NewSignal()}
}

// Write adds a line, which ends with a newline. A line for which there is no room is dropped:
// the log has it.
func (q *queue) Write(p []byte) (int, error) {
	l := line{q.now().UnixMilli(), bytes.Clone(bytes.TrimSuffix(p, []byte("\n")))}
	if !q.add(l) {
		q.dropped.Inc()
		return len(p), nil
	}
	q.added.Set()
	return len(p), nil
}

func (q *queue) add(l line) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.bytes+l.size() > queueBytes {
		q.mu.lost++
		return false
	}
	q.mu.lines = append(q.mu.lines, l)
	q.mu.bytes += l.size()
	return true
}

// gather waits for a line, and then for more until they fill a batch or gatherFor is over. It
// returns ctx's error if ctx ends first.
func (q *queue) gather(ctx context.Context) error {
	for q.len() == 0 {
		select {
		case <-q.added:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	over := time.NewTimer(gatherFor)
	defer over.Stop()
	for !q.fills() {
		select {
		case <-q.added:
		case <-over.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fills reports whether there are lines for a whole batch.
func (q *queue) fills() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.mu.lines) >= batchLines || q.mu.bytes >= batchBytes
}

// front returns the oldest lines: at most so many, and batchBytes, but at least one. They stay.
func (q *queue) front(most int) []line {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < min(most, len(q.mu.lines)) {
		if size += q.mu.lines[n].size(); n > 0 && size > batchBytes {
			break
		}
		n++
	}
	return slices.Clone(q.mu.lines[:n])
}

// remove removes the n oldest lines.
func (q *queue) remove(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range n {
		q.mu.bytes -= q.mu.lines[i].size()
	}
	q.mu.lines = slices.Delete(q.mu.lines, 0, n)
	if len(q.mu.lines) == 0 {
		q.mu.lines = nil // it may have been long
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.mu.lines)
}

// takeLost returns how many lines found no room since it was last called.
func (q *queue) takeLost() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.mu.lost
	q.mu.lost = 0
	return n
}
