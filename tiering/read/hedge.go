package read

import (
	"sync"
	"time"
)

// hedger decides when a request is slow, and keeps second requests to a tenth of
// all, so that a store that is slow altogether doesn't get twice the load.
type hedger struct {
	least time.Duration

	mu struct {
		sync.Mutex
		slow   [2]time.Duration // about what 95 of 100 requests stay below: small ones, large ones
		tokens float64
	}
}

const (
	largeRequest = 1 << 20
	hedgeTokens  = 8 // at most so many at a time
)

func sizeClass(n int) int {
	if n >= largeRequest {
		return 1
	}
	return 0
}

// took notes how long a request was.
func (h *hedger) took(n int, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.tokens = min(h.mu.tokens+0.1, hedgeTokens)
	slow := &h.mu.slow[sizeClass(n)]
	// A quantile by small steps: up by 19 when above, down by 1 when below.
	step := max(*slow/200, 100*time.Microsecond)
	if d > *slow {
		*slow = min(d, *slow+19*step)
	} else {
		*slow = max(d, *slow-step)
	}
}

// delay is how long a request of n bytes may take before a second is sent.
func (h *hedger) delay(n int) time.Duration {
	if h.least == 0 {
		return time.Hour
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.least, 2*h.mu.slow[sizeClass(n)])
}

// spend takes leave to send a second request.
func (h *hedger) spend() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.tokens < 1 {
		return false
	}
	h.mu.tokens--
	return true
}
