package kafka

import (
	"context"
	"fmt"
)

// Work bounds what the batches of one request may be decompressed to in all, so that a
// request costs no more than its bytes explain: some kilobytes may hold megabytes. It is for
// one goroutine. A nil Work bounds nothing.
type Work struct{ left int64 }

// What a request may be decompressed to: so much in any case, or so many times its bytes.
const (
	leastWork  = 1 << 30
	workFactor = 64
)

// NewWork makes the bound of a request of so many bytes.
func NewWork(bytes int) Work { return Work{max(leastWork, workFactor*int64(bytes))} }

// WorkKey is the key under which a context holds a request's *Work.
type WorkKey struct{}

// WorkOf returns the Work of the request that is served under ctx, or nil.
func WorkOf(ctx context.Context) *Work {
	w, _ := ctx.Value(WorkKey{}).(*Work)
	return w
}

// Open is Batch.Open within limit and what is left of the request's work.
func (w *Work) Open(b Batch, limit int, use func(Body) error) error {
	if w == nil || b.Codec() == None {
		return b.Open(limit, use)
	}
	if w.left <= 0 {
		return fmt.Errorf("the batches of the request hold too much: %w", ErrTooLarge)
	}
	opened := false
	limit = int(min(int64(limit), w.left))
	err := b.Open(limit, func(d Body) error {
		opened = true
		w.left -= int64(len(d.bytes))
		return use(d)
	})
	if !opened { // how far it got isn't known
		w.left -= int64(limit)
	}
	return err
}
