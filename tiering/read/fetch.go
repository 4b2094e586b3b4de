package read

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"varve/internal/backoff"
	"varve/s3store"
	"varve/tiering/object"
)

// fetcher reads ranges of objects: few at once, each within a deadline, repeated
// when it fails, and doubled when it is slow.
type fetcher struct {
	store   s3store.Store
	cfg     *Config
	memory  *memory
	metrics *metrics
	start   func(func())
	slots   *semaphore.Weighted
	pace    *rate.Limiter // of bytes; nil is without limit
	hedge   hedger
}

func newFetcher(store s3store.Store, cfg *Config, m *memory, metrics *metrics, start func(func())) *fetcher {
	f := &fetcher{store: store, cfg: cfg, memory: m, metrics: metrics, start: start, slots: semaphore.NewWeighted(int64(cfg.MaxRequests)), hedge: hedger{least: cfg.HedgeAfter}}
	f.hedge.mu.tokens = hedgeTokens
	if cfg.BytesPerSecond > 0 {
		f.pace = rate.NewLimiter(rate.Limit(cfg.BytesPerSecond), int(max(cfg.BytesPerSecond, int64(cfg.ChunkBytes))))
	}
	return f
}

// read fills b from a position of an object and cuts it where the object ends. It
// takes over the caller's share of b, also when it fails, and returns the buffer
// with the bytes, which may be another one.
func (f *fetcher) read(ctx context.Context, key string, at int64, b *buffer) (*buffer, error) {
	if err := f.wait(ctx, len(b.b)); err != nil {
		b.release()
		return nil, err
	}
	var err error
	for attempt := range f.cfg.Attempts {
		b.retain()
		var got *buffer
		if got, err = f.race(ctx, key, at, b); err == nil {
			b.release()
			return got, nil
		}
		if ctx.Err() != nil || !s3store.Transient(err) {
			break
		}
		if err := backoff.Sleep(ctx, retryPause(key, at, attempt)); err != nil {
			break
		}
	}
	b.release()
	switch {
	case errors.Is(err, s3store.ErrNotFound):
		return nil, fmt.Errorf("%w: %w", object.ErrGone, err)
	case errors.Is(err, s3store.ErrRange):
		return nil, &object.CorruptError{Key: key, At: at, Err: err}
	}
	return nil, err
}

// wait holds back what is over the rate.
func (f *fetcher) wait(ctx context.Context, n int) error {
	for burst := 0; f.pace != nil && n > 0; n -= burst {
		burst = min(n, f.pace.Burst())
		if err := f.pace.WaitN(ctx, burst); err != nil {
			return err
		}
	}
	return nil
}

// answer is what one of the requests of a race brought. Its buffer is the taker's
// to release.
type answer struct {
	b      *buffer
	err    error
	second bool
}

// race makes a request, and a second one beside it if it is slow; the first good
// answer wins. It takes over the caller's share of b.
func (f *fetcher) race(ctx context.Context, key string, at int64, b *buffer) (*buffer, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.RequestTimeout)
	defer cancel()
	answers := make(chan answer, 2)
	running, n := 1, len(b.b) // the request may cut b
	f.launch(ctx, key, at, b, false, answers)
	timer := time.NewTimer(f.hedge.delay(n))
	defer timer.Stop()
	var failed error
	for running > 0 {
		select {
		case a := <-answers:
			running--
			if a.err == nil {
				f.won(a, running, answers)
				return a.b, nil
			}
			a.b.release()
			failed = a.err
		case <-timer.C:
			if second := f.second(n); second != nil {
				running++
				f.launch(ctx, key, at, second, true, answers)
			}
		}
	}
	return nil, failed
}

// won settles the account when an answer is good: the other's buffer is to be
// released when it comes, as its request may be writing into it still.
func (f *fetcher) won(a answer, running int, answers chan answer) {
	if a.second {
		f.metrics.hedges.WithLabelValues("yes").Inc()
	}
	if running == 0 {
		return
	}
	if !a.second {
		f.metrics.hedges.WithLabelValues("no").Inc()
	}
	f.start(func() { (<-answers).b.release() })
}

// second returns a buffer for a hedge, if one is allowed and is free.
func (f *fetcher) second(n int) *buffer {
	if f.cfg.HedgeAfter == 0 || !f.hedge.spend() || !f.slots.TryAcquire(1) {
		return nil
	}
	b := f.memory.try(n)
	if b == nil {
		f.slots.Release(1)
	}
	return b
}

// launch makes one request in a goroutine. A hedge has its slot already.
func (f *fetcher) launch(ctx context.Context, key string, at int64, b *buffer, second bool, to chan<- answer) {
	f.start(func() {
		if !second {
			if err := f.slots.Acquire(ctx, 1); err != nil {
				to <- answer{b, fmt.Errorf("wait to read %q: %w", key, err), second}
				return
			}
		}
		defer f.slots.Release(1)
		begun := time.Now()
		n, err := f.once(ctx, key, at, b.b)
		took := time.Since(begun)
		f.metrics.got(n, took, err)
		if err == nil {
			f.hedge.took(len(b.b), took)
			if n < len(b.b) {
				b.b = b.b[:n]
			}
		}
		to <- answer{b, err, second}
	})
}

func (f *fetcher) once(ctx context.Context, key string, at int64, p []byte) (int, error) {
	body, err := f.store.Get(ctx, key, at, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n, err := object.Fill(body, p)
	if err == io.EOF && n > 0 {
		err = nil // the object ends here
	}
	if closeErr := body.Close(); err == nil && closeErr != nil {
		err = closeErr
	}
	return n, err
}

// retryPause grows with the attempts and differs from read to read, so that reads
// that failed together aren't repeated together.
func retryPause(key string, at int64, attempt int) time.Duration {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, key, at, attempt) // never fails
	return time.Duration(h.Sum64() % uint64(50*time.Millisecond<<min(attempt, 6)))
}
