package garbage

import "sync"

// damaged remembers what was said of objects that are not what they should be: each is
// judged again at every pass, and said once. It has a lock, since metrics count it.
type damaged struct {
	mu   sync.Mutex
	said map[string]string // by key: what is wrong
}

// maxDamaged bounds what is remembered; beyond it something is said again.
const maxDamaged = 1 << 16

// note reports whether this is news.
func (s *damaged) note(key, what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said[key] == what {
		return false
	}
	if s.said == nil || len(s.said) >= maxDamaged {
		s.said = map[string]string{}
	}
	s.said[key] = what
	return true
}

// fine forgets one that is as it should be by now, or gone.
func (s *damaged) fine(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.said, key)
}

func (s *damaged) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.said)
}

// noteDamage logs, once, that something in the bucket is not what it should be.
func (c *Collector) noteDamage(key, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if c.damaged.note(key, what+text) {
		c.deps.Log.Error(what+"; it stays, and is counted in varve_tier_damaged_objects", "key", key, "err", err)
	}
}
