package partition

import "slices"

// waiter is an append that is to be answered.
type waiter struct {
	end  int64 // when the high watermark is at least this
	base int64
	done Done
}

// waiters are appends that wait for the high watermark, by offset.
type waiters []waiter

// insert adds one in its place; that is mostly near the end.
func (ws *waiters) insert(w waiter) {
	i := len(*ws)
	for i > 0 && (*ws)[i-1].end > w.end {
		i--
	}
	*ws = slices.Insert(*ws, i, w)
}

// take removes those that the high watermark has reached, and appends them to told.
func (ws *waiters) take(told []waiter, high int64) []waiter {
	all, n := *ws, 0
	for n < len(all) && all[n].end <= high {
		n++
	}
	told = append(told, all[:n]...)
	*ws = append(all[:0], all[n:]...)
	return told
}
