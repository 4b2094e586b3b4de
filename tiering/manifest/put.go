package manifest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"varve/internal/backoff"
	"varve/internal/chance"
	"varve/s3store"
)

// Putter writes immutable objects, and never gives up before ctx ends.
type Putter struct {
	store   s3store.Store
	log     *slog.Logger
	pauses  backoff.Policy
	random  *chance.Source
	failed  func(err error) // counts
	waiting func() int64    // bytes, for the log

	mu struct {
		sync.Mutex
		failing map[string]time.Time // what is failing, and since when
	}
}

// NewPutter makes a putter, which pauses for base first and for most at last. failed is called with
// of each failure, and waiting returns the bytes that wait, for the log.
func NewPutter(store s3store.Store, log *slog.Logger, random *chance.Source, base, most time.Duration, failed func(error), waiting func() int64) *Putter {
	return &Putter{store: store, log: log, random: random, pauses: backoff.Policy{Base: base, Max: most}, failed: failed, waiting: waiting}
}

// ErrTaken: someone else's object has the name.
var ErrTaken = errors.New("object name is taken")

// Put writes an object under a key that is this incarnation's alone.
func (p *Putter) Put(ctx context.Context, key string, data []byte) error {
	for attempt := 0; ; attempt++ {
		err := p.store.PutIfAbsent(ctx, key, s3store.Bytes(data))
		if errors.Is(err, s3store.ErrExists) {
			err = p.mine(ctx, key, len(data), attempt)
		}
		if err == nil || errors.Is(err, ErrTaken) {
			p.Recovered("bucket")
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		p.failed(err)
		p.Failing("bucket", err)
		if err := p.Pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// mine decides whose object is under the key: an earlier attempt of ours, whose
// answer was lost, or another's.
func (p *Putter) mine(ctx context.Context, key string, size, attempt int) error {
	if attempt == 0 {
		return fmt.Errorf("put %q: %w", key, ErrTaken)
	}
	object, err := p.store.Head(ctx, key)
	switch {
	case err != nil:
		return err
	case object.Size != int64(size):
		return fmt.Errorf("put %q of %d bytes, there are %d: %w", key, size, object.Size, ErrTaken)
	}
	return nil
}

// Pause waits longer from attempt to attempt, but never exactly as long as others.
func (p *Putter) Pause(ctx context.Context, attempt int) error {
	return backoff.Sleep(ctx, p.random.Spread(p.pauses.After(attempt)))
}

// Failing logs the beginning of an outage, and only that.
func (p *Putter) Failing(what string, err error) {
	p.mu.Lock()
	if p.mu.failing == nil {
		p.mu.failing = map[string]time.Time{}
	}
	_, known := p.mu.failing[what]
	if !known {
		p.mu.failing[what] = time.Now()
	}
	p.mu.Unlock()
	if !known {
		p.log.Warn("the tier can't be written; records wait in the journal and it is tried again", "what", what, "waiting_bytes", p.waiting(), "err", err)
	}
}

// Recovered logs the end of an outage.
func (p *Putter) Recovered(what string) {
	p.mu.Lock()
	since, known := p.mu.failing[what]
	delete(p.mu.failing, what)
	p.mu.Unlock()
	if known {
		p.log.Info("the tier can be written again", "what", what, "outage", time.Since(since).Round(time.Millisecond))
	}
}
