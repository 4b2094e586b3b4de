package quota

import "time"

// Client is one client whose use is measured. It remembers which quotas hold for it. It isn't
// safe for concurrent use; meters are shared with other clients.
type Client struct {
	meters   *Meters
	set      *Set // that the rules are of
	user, id string
	rules    [numKeys]Rule // without a bound: no quota
	kept     [numKeys]*meter
}

// NewClient returns a client that is measured by meters.
func NewClient(m *Meters) *Client { return &Client{meters: m} }

// Is says who the client is from now on, and which quotas there are. It is cheap if neither has
// changed.
func (c *Client) Is(set *Set, user, clientID string) {
	if c.set == set && c.user == user && c.id == clientID {
		return
	}
	c.set, c.user, c.id = set, user, clientID
	clear(c.kept[:])
	for _, k := range Keys() {
		c.rules[k], _ = set.Find(k, user, clientID)
	}
}

// Rule returns the quota of a kind that holds for the client.
func (c *Client) Rule(k Key) (Rule, bool) {
	if c == nil || c.rules[k].Bound == 0 {
		return Rule{}, false
	}
	return c.rules[k], true
}

// Record adds what the client has used, and returns for how long it has to wait so that the
// rate is within its quota.
func (c *Client) Record(k Key, v float64, now time.Time) (wait time.Duration) {
	r, ok := c.Rule(k)
	if !ok {
		return 0
	}
	c.kept[k] = c.meters.use(&r, c.kept[k], now, func(m *meter, at int64) {
		m.rate.add(v, at)
		wait = m.rate.wait(r.Bound, at)
	})
	return wait
}

// Try is Record, but adds nothing if the client has to wait. What is too much at any time is let
// through if nothing else was used in the window, so that a client gets on.
func (c *Client) Try(k Key, v float64, now time.Time) (wait time.Duration) {
	r, ok := c.Rule(k)
	if !ok {
		return 0
	}
	c.kept[k] = c.meters.use(&r, c.kept[k], now, func(m *meter, at int64) { wait = m.try(v, r.Bound, at) })
	return wait
}

func (m *meter) try(v, bound float64, at int64) (wait time.Duration) {
	if m.rate.rests(at) {
		m.rate.add(v, at)
		return 0
	}
	m.rate.add(v, at)
	if wait = m.rate.wait(bound, at); wait > 0 {
		m.rate.add(-v, at)
	}
	return wait
}

// Most returns the most that the client may use at once: more would always be too much.
func (c *Client) Most(k Key) (most float64, ok bool) {
	r, ok := c.Rule(k)
	return r.Bound * Window.Seconds(), ok
}

// Take takes tokens out of the client's bucket, and returns for how long it has to wait. If
// strict is set, an overdrawn bucket gives none, and one that is not gives any number. Else it
// gives always, and the client has to wait if it is overdrawn afterwards.
func (c *Client) Take(k Key, tokens float64, strict bool, now time.Time) (wait time.Duration) {
	r, ok := c.Rule(k)
	if !ok {
		return 0
	}
	c.kept[k] = c.meters.use(&r, c.kept[k], now, func(m *meter, at int64) {
		m.bucket.refill(r.Bound, at)
		if wait = m.bucket.wait(); wait > 0 && strict {
			return
		}
		m.bucket.taken += tokens
		if !strict {
			wait = m.bucket.wait()
		}
	})
	return wait
}

// TryIP adds one to what an address has used of a kind, unless it has to wait.
func (m *Meters) TryIP(set *Set, k Key, ip string, now time.Time) (r Rule, wait time.Duration) {
	r, ok := set.FindIP(k, ip)
	if !ok {
		return r, 0
	}
	m.use(&r, nil, now, func(w *meter, at int64) { wait = w.try(1, r.Bound, at) })
	return r, wait
}
