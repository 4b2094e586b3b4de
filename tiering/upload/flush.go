package upload

import (
	"context"
	"fmt"

	"varve/internal/id"
)

// flush is a wish that something be uploaded now. Run owns it.
type flush struct {
	only []id.Partition         // empty: all
	need map[id.Partition]int64 // bytes that have to be committed
	done chan struct{}
}

// flushes are the wishes that Run has not fulfilled yet.
type flushes struct {
	requests chan *flush   // to Run
	stopped  chan struct{} // closed when Run returned
	waiting  []*flush      // Run's own
}

func newFlushes() *flushes {
	return &flushes{requests: make(chan *flush), stopped: make(chan struct{})}
}

// ask returns when Run has fulfilled a wish.
func (fs *flushes) ask(ctx context.Context, only []id.Partition) error {
	f := &flush{only: only, done: make(chan struct{})}
	select {
	case fs.requests <- f:
	case <-fs.stopped:
		return fmt.Errorf("flush: %w", context.Canceled)
	case <-ctx.Done():
		return fmt.Errorf("flush: %w", context.Cause(ctx))
	}
	select {
	case <-f.done:
		return nil
	case <-fs.stopped:
		return fmt.Errorf("flush: %w", context.Canceled)
	case <-ctx.Done():
		return fmt.Errorf("flush: %w", context.Cause(ctx))
	}
}

// accept notes what a flush needs: what waits in its partitions now, of all that pending yields.
func (fs *flushes) accept(f *flush, pending func(yield func(p id.Partition, bytes int64) bool)) {
	f.need = map[id.Partition]int64{}
	for _, p := range f.only {
		f.need[p] = 0
	}
	for p, bytes := range pending {
		if _, wanted := f.need[p]; (wanted || len(f.only) == 0) && bytes > 0 {
			f.need[p] = bytes
		}
	}
	for _, p := range f.only {
		if f.need[p] == 0 {
			delete(f.need, p)
		}
	}
	fs.waiting = append(fs.waiting, f)
	fs.finish()
}

// took takes bytes of a partition off what flushes need; all of them if the
// partition isn't ours any more.
func (fs *flushes) took(p id.Partition, bytes int64, gone bool) {
	for _, f := range fs.waiting {
		if need, ok := f.need[p]; ok {
			if f.need[p] = need - bytes; gone || need <= bytes {
				delete(f.need, p)
			}
		}
	}
}

// keep forgets the partitions that no longer wait: they were moved away, deleted, or committed
// meanwhile.
func (fs *flushes) keep(waits map[id.Partition]bool) {
	for _, f := range fs.waiting {
		for p := range f.need {
			if !waits[p] {
				delete(f.need, p)
			}
		}
	}
	fs.finish()
}

// finish answers the flushes that need nothing any more.
func (fs *flushes) finish() {
	left := fs.waiting[:0]
	for _, f := range fs.waiting {
		if len(f.need) == 0 {
			close(f.done)
			continue
		}
		left = append(left, f)
	}
	clear(fs.waiting[len(left):])
	fs.waiting = left
}

// want reports whether a flush waits for a partition.
func (fs *flushes) want(p id.Partition) bool {
	for _, f := range fs.waiting {
		if _, ok := f.need[p]; ok {
			return true
		}
	}
	return false
}
