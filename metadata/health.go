package metadata

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// health turns the outcomes of single requests into outages, so that one outage
// is one log line and not one for each try.
type health struct {
	log     *slog.Logger
	metrics *storeMetrics

	mu struct {
		sync.Mutex
		since time.Time // zero while the store is available
		// tries ends with an outage, or when a server is given up. What a member of etcd
		// was asked while it had no leader is never answered: when the outage is over it
		// is asked again, not when the request's time is.
		tries context.Context
		again context.CancelFunc
	}
}

// try is the context of requests that begin now.
func (h *health) try() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.tries == nil {
		h.mu.tries, h.mu.again = context.WithCancel(context.Background())
	}
	return h.mu.tries
}

// note records what a request said about the store.
func (h *health) note(err error) {
	switch {
	case errors.Is(err, ErrUnavailable):
		h.down(err)
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Says nothing about the store.
	default:
		h.up()
	}
}

func (h *health) down(err error) {
	h.mu.Lock()
	first := h.mu.since.IsZero()
	if first {
		h.mu.since = time.Now()
	}
	h.mu.Unlock()
	if first {
		h.metrics.outages.Inc()
		h.metrics.unavailable.Set(1)
		h.log.Warn("metadata store unavailable", "err", err)
	}
}

func (h *health) up() {
	h.mu.Lock()
	since := h.mu.since
	h.mu.since = time.Time{}
	if !since.IsZero() {
		h.retryLocked()
	}
	h.mu.Unlock()
	if !since.IsZero() {
		h.metrics.unavailable.Set(0)
		h.log.Info("metadata store available again", "after", time.Since(since).Round(time.Millisecond))
	}
}

// retry gives up what waits for an answer now.
func (h *health) retry() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.retryLocked()
}

func (h *health) retryLocked() {
	if h.mu.again != nil {
		h.mu.again()
		h.mu.tries = nil
	}
}
