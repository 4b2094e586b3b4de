package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"varve/internal/backoff"
)

// RetryPolicy is how often and when a call is tried again after a transient
// error. The pause before attempt n+1 is chosen evenly from 0 to
// min(Max, Base * 2^n), so that callers that failed together don't return together.
type RetryPolicy struct {
	// Attempts attempts of one call, the first included.
	Attempts int `yaml:"attempts" doc:"number of attempts of one call, including the first"`
	// Base is longest pause before the first retry.
	Base time.Duration `yaml:"base" doc:"longest delay before the first retry"`
	// Max is the longest pause.
	Max time.Duration `yaml:"max" doc:"longest delay"`
}

// DefaultRetryPolicy bridges a few seconds; longer outages are the caller's.
func DefaultRetryPolicy() RetryPolicy {
	return RetryPolicy{Attempts: 5, Base: 100 * time.Millisecond, Max: 5 * time.Second}
}

// pause returns a random wait after the given attempt, counted from 0.
func (p RetryPolicy) pause(attempt int) time.Duration {
	return rand.N(backoff.Policy{Base: p.Base, Max: p.Max}.After(attempt) + 1)
}

type retrying struct {
	Store
	policy RetryPolicy
	log    *slog.Logger
}

// WithRetry repeats calls after transient errors, never after a sentinel or when
// ctx is over. A listing goes on after the last key that it delivered, and a
// stream of Get from the byte where it broke.
//
// A PutIfAbsent that meets ErrExists after an attempt whose outcome is unknown
// takes it for its own earlier success if an object of the same size is there.
// It doesn't compare the bytes: callers use keys that no other writer uses.
func WithRetry(inner Store, policy RetryPolicy, log *slog.Logger) Store {
	return &retrying{inner, policy, log}
}

func (r *retrying) Put(ctx context.Context, key string, body Body) error {
	return r.repeat(ctx, OpPut, key, func(int) error { return r.Store.Put(ctx, key, body) })
}

func (r *retrying) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return r.repeat(ctx, OpPutIfAbsent, key, func(attempt int) error {
		err := r.Store.PutIfAbsent(ctx, key, body)
		if attempt == 0 || !errors.Is(err, ErrExists) {
			return err
		}
		object, headErr := r.Store.Head(ctx, key)
		switch {
		case headErr == nil && object.Size == body.Size():
			return nil
		case headErr != nil && Transient(headErr):
			return headErr // whose object it is remains to be found out
		}
		return err
	})
}

func (r *retrying) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	stream := &retryStream{retrying: r, ctx: ctx, key: key, off: off, left: length}
	err := r.repeat(ctx, OpGet, key, func(int) error { return stream.open() })
	if err != nil {
		return nil, err
	}
	return stream, nil
}

func (r *retrying) Head(ctx context.Context, key string) (object Object, err error) {
	err = r.repeat(ctx, OpHead, key, func(int) error {
		object, err = r.Store.Head(ctx, key)
		return err
	})
	return object, err
}

func (r *retrying) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	return r.repeat(ctx, OpList, prefix, func(int) error {
		return r.Store.List(ctx, prefix, after, func(object Object) bool {
			after = object.Key
			return each(object)
		})
	})
}

func (r *retrying) Delete(ctx context.Context, keys []string) error {
	key := ""
	if len(keys) > 0 {
		key = keys[0]
	}
	return r.repeat(ctx, OpDelete, key, func(int) error { return r.Store.Delete(ctx, keys) })
}

// repeat calls do until it succeeds, fails for good, or the attempts are used up.
func (r *retrying) repeat(ctx context.Context, op Op, key string, do func(attempt int) error) error {
	for attempt := 0; ; attempt++ {
		err := do(attempt)
		if !Transient(err) || ctx.Err() != nil {
			return err
		}
		if attempt+1 >= r.policy.Attempts {
			return fmt.Errorf("%w (after %d attempts)", err, attempt+1)
		}
		if r.wait(ctx, op, key, attempt, err) != nil {
			return err
		}
	}
}

// wait pauses after a failed attempt; an error means that ctx ended.
func (r *retrying) wait(ctx context.Context, op Op, key string, attempt int, cause error) error {
	pause := r.policy.pause(attempt)
	r.log.Debug("object store call failed, trying again", "op", op, "key", shorten(key),
		"attempt", attempt+1, "of", r.policy.Attempts, "pause", pause, "err", cause)
	return backoff.Sleep(ctx, pause)
}
