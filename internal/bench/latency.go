package bench

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"time"
)

// histogram counts durations in buckets whose width is below 1 % of their
// value, from 1 ns on; it is safe for concurrent use.
type histogram struct {
	mu     sync.Mutex
	counts [64 << subBits]int64
	n      int64
	max    time.Duration
}

// subBits are the leading bits after the first that tell buckets apart.
const subBits = 7

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)<<subBits + int(v>>shift) - 1<<subBits
}

// upper is the largest duration of a bucket.
func upper(b int) time.Duration {
	if b < 1<<subBits {
		return time.Duration(b)
	}
	shift := b>>subBits - 1
	lead := uint64(b&(1<<subBits-1) | 1<<subBits)
	return time.Duration((lead+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

// quantile is the duration that the share q of all is not above.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := int64(float64(h.n)*q), int64(0)
	for b, c := range h.counts {
		if seen += c; seen > rank {
			return min(upper(b), h.max)
		}
	}
	return h.max
}

// latency returns nil if nothing was counted.
func (h *histogram) latency() *Latency {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == 0 {
		return nil
	}
	ms := func(q float64) float64 { return float64(h.quantile(q).Microseconds()) / 1000 }
	return &Latency{P50: ms(.5), P90: ms(.9), P99: ms(.99), P999: ms(.999), Max: float64(h.max.Microseconds()) / 1000}
}

// failures counts errors and keeps the first.
type failures struct {
	mu    sync.Mutex
	n     int64
	first error
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.first == nil {
		f.first = err
	}
}

func (f *failures) fill(r *Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Errors = f.n; errors.Is(f.first, context.DeadlineExceeded) {
		r.FirstError = fmt.Sprintf("not acknowledged within %v after the end: are enough agents up, and has the disk space?", lateWait)
	} else if f.first != nil {
		r.FirstError = f.first.Error()
	}
}
