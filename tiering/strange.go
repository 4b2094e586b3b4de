package tiering

import "sync"

// strange remembers what was said of objects that are not what they should be: each is
// judged again at every pass, and said once. It has a lock, since metrics count it.
type strange struct {
	mu   sync.Mutex
	said map[string]string // by key: what is wrong
}

// maxStrange bounds what is remembered; beyond it something is said again.
const maxStrange = 1 << 16

// note reports whether this is news.
func (s *strange) note(key, what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said[key] == what {
		return false
	}
	if s.said == nil || len(s.said) >= maxStrange {
		s.said = map[string]string{}
	}
	s.said[key] = what
	return true
}

// fine forgets one that is as it should be by now, or gone.
func (s *strange) fine(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.said, key)
}

func (s *strange) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.said)
}

// wonder says, once, that something in the bucket is not what it should be.
func (c *Collector) wonder(key, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if c.strange.note(key, what+text) {
		c.deps.Log.Error(what+"; it stays, and is counted in varve_tier_damaged_objects", "key", key, "err", err)
	}
}
