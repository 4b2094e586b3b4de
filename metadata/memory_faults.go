package metadata

// SetAvailable takes the store away from all its users, or brings it back.
func (m *Memory) SetAvailable(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.away == !yes {
		return
	}
	m.mu.away = !yes
	for _, l := range m.mu.leases {
		if yes {
			l.timer.Reset(l.ttl)
		} else {
			l.timer.Stop()
		}
	}
	m.signal()
}

// Expire ends a lease at once, as if its time were over.
func (m *Memory) Expire(id Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoke(id)
}

// Compact makes every watch lose its place: the next it delivers is a Reset.
func (m *Memory) Compact() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.mu.watches {
		w.lose()
	}
}

// LoseReplies makes the next n transactions that are applied end as
// ErrUnavailable: what a caller sees when the answer gets lost.
func (m *Memory) LoseReplies(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.loseReply = n
}

// Revision is the store's present revision.
func (m *Memory) Revision() Revision {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.rev
}

// SetConnected cuts this handle off from the store, or connects it again.
func (s *MemoryStore) SetConnected(yes bool) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.cutOff = !yes
	s.m.signal()
}

// signal wakes all that wait for the store; the lock is held.
func (m *Memory) signal() {
	close(m.mu.changed)
	m.mu.changed = make(chan struct{})
}
