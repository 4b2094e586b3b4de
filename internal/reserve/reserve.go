// Package reserve keeps room in a pool of memory for a large request that found none: many
// small ones would never leave it any.
package reserve

import "time"

// Span is how long room is kept for a request that found none. Its client asks again by then.
const Span = time.Second

// Reserve is the room that is kept in one pool, for the largest request that was refused. The
// zero value keeps none. It is used under the pool's lock.
type Reserve struct {
	bytes int64
	until time.Time
}

// Beside returns how much room a request of n bytes must leave.
func (r *Reserve) Beside(n int64) int64 {
	if r.bytes <= n || time.Now().After(r.until) {
		return 0
	}
	return r.bytes
}

// Refused keeps room for a request of n bytes that found none, unless it is kept for a
// larger one.
func (r *Reserve) Refused(n int64) {
	if r.Beside(n) == 0 {
		r.bytes, r.until = n, time.Now().Add(Span)
	}
}

// Granted ends what is kept for a request of n bytes, which got its room.
func (r *Reserve) Granted(n int64) {
	if n >= r.bytes {
		r.bytes = 0
	}
}
