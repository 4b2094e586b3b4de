// Package chance is where Varve's randomness comes from: ids, session numbers,
// and the spread of pauses. It promises that with a seeded reader all of it
// follows from the seed and the order of the calls, as simulated clusters need,
// and that without one it is the system's. It never keeps what it returned.
package chance

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"time"
)

// Source is a source of random bytes and numbers. Many may use it at a time. A nil Source
// is the system's.
type Source struct {
	mu sync.Mutex
	r  io.Reader
}

// New makes a source of what r returns, which must never end; nil is the system's.
func New(r io.Reader) *Source {
	if r == nil {
		return nil
	}
	return &Source{r: r}
}

// Split makes a source of its own for a part of the program, so that what that
// part gets doesn't depend on how much others take meanwhile.
func (s *Source) Split() *Source {
	if s == nil {
		return nil
	}
	var seed [32]byte
	_, _ = s.Read(seed[:]) // never fails
	return New(mathrand.NewChaCha8(seed))
}

// Read fills p; it never fails, but panics if the reader does.
func (s *Source) Read(p []byte) (int, error) {
	var err error
	if s == nil {
		_, err = rand.Read(p)
	} else {
		s.mu.Lock()
		_, err = io.ReadFull(s.r, p)
		s.mu.Unlock()
	}
	if err != nil {
		panic("chance: no randomness: " + err.Error())
	}
	return len(p), nil
}

// Uint64 returns a number; it makes Source a source of math/rand/v2.
func (s *Source) Uint64() uint64 {
	var b [8]byte
	_, _ = s.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// Spread returns a pause from half of d to d, so that callers that failed together
// don't return together.
func (s *Source) Spread(d time.Duration) time.Duration {
	if d <= 1 {
		return d
	}
	return d/2 + time.Duration(mathrand.New(s).Int64N(int64(d-d/2)+1))
}
