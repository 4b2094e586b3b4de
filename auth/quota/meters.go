package quota

import (
	"sync"
	"time"
)

// Meters measure what clients use. The zero value isn't usable.
type Meters struct {
	most  int
	start time.Time
	mu    struct {
		sync.Mutex
		by     map[meterKey]*meter
		shared map[meterKey]*meter // by the entity whose quota it is
		swept  time.Time
	}
}

type meterKey struct {
	key Key
	of  Entity
}

// meter measures what those use that share a quota.
type meter struct {
	mu     sync.Mutex
	gone   bool // another one has taken its place, or will
	rate   rate
	bucket bucket
}

// MaxMeters is how many clients are measured apart, in all.
const MaxMeters = 4096

// meteredName is how long the name of a client may be that is measured apart.
const meteredName = 255

// sweepEvery is how often unused meters are looked for.
const sweepEvery = time.Second

// NewMeters returns meters that measure at most a number of clients apart. All others share a
// meter for each quota that holds for them.
func NewMeters(most int, now time.Time) *Meters {
	m := &Meters{most: most, start: now}
	m.mu.by, m.mu.shared = map[meterKey]*meter{}, map[meterKey]*meter{}
	return m
}

// Len returns the number of meters.
func (m *Meters) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.mu.by) + len(m.mu.shared)
}

func (m *Meters) millis(now time.Time) int64 { return now.Sub(m.start).Milliseconds() }

// get returns the meter of those for whom a rule holds.
func (m *Meters) get(r *Rule, now time.Time) *meter {
	k := meterKey{r.Key, r.Of}
	m.mu.Lock()
	defer m.mu.Unlock()
	if found := m.mu.by[k]; found != nil {
		return found
	}
	if (len(m.mu.by) >= m.most || len(m.mu.shared) > 0) && now.Sub(m.mu.swept) >= sweepEvery {
		m.mu.swept = now
		sweep(m.mu.by, m.millis(now))
		sweep(m.mu.shared, m.millis(now))
	}
	by := m.mu.by
	if len(m.mu.by) >= m.most || len(r.Of.User.Name) > meteredName || len(r.Of.ClientID.Name) > meteredName {
		by, k.of = m.mu.shared, r.Entity
	}
	found := by[k]
	if found == nil {
		found = &meter{}
		by[k] = found
	}
	return found
}

// sweep drops the meters that measure nothing now.
func sweep(by map[meterKey]*meter, now int64) {
	for k, m := range by {
		m.mu.Lock()
		m.gone = m.rate.rests(now) && m.bucket.rests(now)
		if m.gone {
			delete(by, k)
		}
		m.mu.Unlock()
	}
}

// use has f measure with the meter of a rule; kept is the one that the caller had last, or nil.
func (m *Meters) use(r *Rule, kept *meter, now time.Time, f func(*meter, int64)) *meter {
	for {
		if kept == nil {
			kept = m.get(r, now)
		}
		kept.mu.Lock()
		if !kept.gone {
			f(kept, m.millis(now))
			kept.mu.Unlock()
			return kept
		}
		kept.mu.Unlock()
		kept = nil
	}
}
