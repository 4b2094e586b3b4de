package kerberos

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// replays remembers the proofs of clients that don't ask who the agent is, for as long as the proofs
// could be good once more: at least for window. In each window it remembers at most mostProofs, and
// mostOfClient of them of one client, so that a client alone can only keep itself out.
type replays struct {
	window time.Duration
	mu     struct {
		sync.Mutex
		young, old map[digest]struct{}
		clients    map[digest]int // how many of young are of a client
		turned     time.Time      // when young was empty
	}
}

// digest stands for a proof, which is an encrypted authenticator, or for the principal of a client.
// Nobody can change an authenticator without its key, and it is never the same twice.
type digest [16]byte

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(sum[:len(digest{})])
}

// Bounds of what replays remembers in a window: its memory is some 15 MB at most.
const (
	mostProofs   = 1 << 17
	mostOfClient = 1 << 14
)

var (
	errReplayed = errors.New("the token is replayed: it was used before")
	errTooOften = errors.New("the client has logged in too often lately to remember its tokens: it is let in if it asks for mutual authentication, or later")
	errTooMany  = errors.New("too many clients have logged in lately to remember their tokens: only those that ask for mutual authentication are let in")
)

// note remembers a client's proof. It returns an error if the proof was there before, or there is
// no room for it.
func (r *replays) note(proof, client digest, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.mu.turned); age >= r.window || age < 0 || r.mu.young == nil {
		r.mu.old = r.mu.young
		if age >= 2*r.window {
			r.mu.old = nil
		}
		r.mu.young, r.mu.clients, r.mu.turned = map[digest]struct{}{}, map[digest]int{}, now
	}
	_, young := r.mu.young[proof]
	_, old := r.mu.old[proof]
	switch {
	case young || old:
		return errReplayed
	case r.mu.clients[client] >= mostOfClient:
		return errTooOften
	case len(r.mu.young) >= mostProofs:
		return errTooMany
	}
	r.mu.young[proof] = struct{}{}
	r.mu.clients[client]++
	return nil
}
