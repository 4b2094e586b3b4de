package kerberos

import (
	"sync"
	"time"
)

// replays remembers proofs for as long as they could be good once more: at least for window, and at
// most mostProofs for each window.
type replays struct {
	window time.Duration
	mu     struct {
		sync.Mutex
		young, old map[proof]struct{}
		turned     time.Time // when young was empty
	}
}

// proof stands for the encrypted authenticator of a client, which is never the same twice.
type proof [16]byte

// mostProofs bounds the memory of replays to some 10 MB.
const mostProofs = 1 << 17

// note remembers a proof. It reports whether it was there before, and whether there is room for it.
func (r *replays) note(p proof, now time.Time) (again, room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.mu.turned); age >= r.window || age < 0 || r.mu.young == nil {
		r.mu.old = r.mu.young
		if age >= 2*r.window {
			r.mu.old = nil
		}
		r.mu.young, r.mu.turned = map[proof]struct{}{}, now
	}
	_, young := r.mu.young[p]
	_, old := r.mu.old[p]
	if young || old {
		return true, true
	}
	if len(r.mu.young) >= mostProofs {
		return false, false
	}
	r.mu.young[p] = struct{}{}
	return false, true
}
