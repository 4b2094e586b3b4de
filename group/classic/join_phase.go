package classic

import "time"

// joinPhase is how long a join phase lasts. An initial one, of a group without members,
// lasts as long as members keep joining, up to their rebalance timeout in all.
type joinPhase struct {
	initial bool
	came    bool          // a member came since the present step of waiting began
	step    time.Duration // the present step of waiting
	left    time.Duration // what may come on top
}

// begin begins an initial join phase, and returns how long to wait at first.
func (p *joinPhase) begin(delay, timeout time.Duration) time.Duration {
	*p = joinPhase{initial: true, step: delay, left: max(timeout-delay, 0)}
	return delay
}

// more reports whether to wait on, and for how long, when a step of waiting is over.
func (p *joinPhase) more(delay time.Duration) (time.Duration, bool) {
	if !p.initial || !p.came || p.left <= 0 {
		return 0, false
	}
	p.came = false
	delay = min(delay, p.left)
	p.left = max(p.left-p.step, 0)
	p.step = delay
	return delay, true
}
