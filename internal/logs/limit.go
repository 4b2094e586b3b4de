// Package logs has what the process's log is made of: a handler that keeps a line from flooding
// it, and names of levels.
package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	limitFor  = time.Minute
	mostLines = 4096 // different ones that are told apart
)

// Limit lets the same line pass only so many times a minute, whatever its attributes are. Lines of
// the audit log (part=audit) and those of level debug always pass: the one has to be whole, the
// others are asked for. It is safe for many goroutines.
type Limit struct {
	each int
	lost prometheus.Counter
	mu   struct {
		sync.Mutex
		by map[string]*line // by message
	}
}

// line is how often a line was logged within a minute.
type line struct {
	since  time.Time
	logged int
	lost   int
}

// NewLimit returns a limit of each lines a minute with the same message; 0 is no limit.
func NewLimit(each int) *Limit {
	l := &Limit{each: each, lost: prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_log_lines_not_logged_total",
		Help: "Log lines that were not written, because there were more than log.max_per_minute with the same text in a minute."})}
	l.mu.by = map[string]*line{}
	return l
}

// Describe implements prometheus.Collector.
func (l *Limit) Describe(ch chan<- *prometheus.Desc) { l.lost.Describe(ch) }

// Collect implements prometheus.Collector.
func (l *Limit) Collect(ch chan<- prometheus.Metric) { l.lost.Collect(ch) }

// Handler returns a handler that passes to next what the limit allows.
func (l *Limit) Handler(next slog.Handler) slog.Handler {
	if l.each == 0 {
		return next
	}
	return &limited{Handler: next, limit: l}
}

// pass reports whether a line may be logged, and how many like it were not since the last one.
func (l *Limit) pass(message string, now time.Time) (lost int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.mu.by[message]
	if at == nil {
		at = l.enter(message, now)
	}
	if now.Sub(at.since) >= limitFor {
		at.since, at.logged = now, 0
	}
	if at.logged >= l.each {
		at.lost++
		l.lost.Inc()
		return 0, false
	}
	at.logged++
	lost, at.lost = at.lost, 0
	return lost, true
}

// enter returns the place of a line that is not known; those beyond mostLines share one. The lock
// is held.
func (l *Limit) enter(message string, now time.Time) *line {
	if len(l.mu.by) >= mostLines {
		for text, at := range l.mu.by {
			if now.Sub(at.since) >= limitFor && at.lost == 0 {
				delete(l.mu.by, text)
			}
		}
	}
	if len(l.mu.by) >= mostLines {
		message = ""
	}
	at := l.mu.by[message]
	if at == nil {
		at = &line{since: now}
		l.mu.by[message] = at
	}
	return at
}

// limited is a handler that a Limit keeps from writing too much.
type limited struct {
	slog.Handler
	limit *Limit
	group bool
}

// Handle implements slog.Handler.
func (h *limited) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo {
		return h.Handler.Handle(ctx, r)
	}
	lost, ok := h.limit.pass(r.Message, r.Time)
	if !ok {
		return nil
	}
	if lost > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("repeats_not_logged", lost))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := h.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		if !h.group && a.Key == "part" && a.Value.String() == "audit" {
			return next
		}
	}
	return &limited{next, h.limit, h.group}
}

// WithGroup implements slog.Handler.
func (h *limited) WithGroup(name string) slog.Handler {
	return &limited{h.Handler.WithGroup(name), h.limit, true}
}
