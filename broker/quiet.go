package broker

import (
	"container/list"
	"hash/maphash"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// quietFor is for how long a line that was logged is not logged again.
const quietFor = time.Minute

const (
	quietSources = 1024 // that a quiet remembers
	quietLines   = 8192 // of all sources together that it lets pass in a minute
	quietEach    = 32   // different ones of a principal
)

// quiet keeps clients from filling the log, and each from keeping lines about others out of it.
// Each source of lines, which is a principal or a network, has a budget of different lines a
// minute. The table is bounded: a new source takes the place of the one that was logged longest
// ago. It keeps hashes only, as clients choose how long their names are.
type quiet struct {
	each int                // different lines of a source in a minute
	lost prometheus.Counter // lines that were not logged
	seed maphash.Seed
	mu   struct {
		sync.Mutex
		by    map[uint64]*list.Element // of *source, by the hash of its name
		order *list.List               // the source that was logged longest ago first
		since time.Time                // when the minute began in which lines are counted
		lines int                      // logged in it
	}
}

// source is one that lines are about.
type source struct {
	name   uint64
	lines  map[uint64]time.Time // when each was logged, by its hash
	unsaid int                  // lines that were not logged since one was
}

func newQuiet(each int, lost prometheus.Counter) *quiet {
	q := &quiet{each: each, lost: lost, seed: maphash.MakeSeed()}
	q.mu.by, q.mu.order = map[uint64]*list.Element{}, list.New()
	return q
}

// say reports whether a line about a source may be logged, and how many of the source were not
// since the last one that was. Lines count as the same if text is.
func (q *quiet) say(about, text string, now time.Time) (unsaid int, ok bool) {
	name, line := maphash.String(q.seed, about), maphash.String(q.seed, text)
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.mu.since) >= quietFor {
		q.mu.since, q.mu.lines = now, 0
	}
	at := q.mu.by[name]
	if q.mu.lines >= quietLines || at != nil && !at.Value.(*source).may(line, q.each, now) {
		if at != nil {
			at.Value.(*source).unsaid++
		}
		q.lost.Inc()
		return 0, false
	}
	if at == nil {
		at = q.remember(name)
	}
	s := at.Value.(*source)
	q.mu.order.MoveToBack(at)
	q.mu.lines++
	s.lines[line] = now
	unsaid, s.unsaid = s.unsaid, 0
	return unsaid, true
}

// remember makes a source. The lock is held.
func (q *quiet) remember(name uint64) *list.Element {
	if q.mu.order.Len() >= quietSources {
		oldest := q.mu.order.Remove(q.mu.order.Front()).(*source)
		delete(q.mu.by, oldest.name)
	}
	at := q.mu.order.PushBack(&source{name: name, lines: map[uint64]time.Time{}})
	q.mu.by[name] = at
	return at
}

// may reports whether a line is within the budget.
func (s *source) may(line uint64, each int, now time.Time) bool {
	if at, ok := s.lines[line]; ok {
		return now.Sub(at) >= quietFor
	}
	if len(s.lines) >= each {
		maps.DeleteFunc(s.lines, func(_ uint64, at time.Time) bool { return now.Sub(at) >= quietFor })
	}
	return len(s.lines) < each
}
