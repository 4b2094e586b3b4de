package broker

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/chance"
	"varve/internal/id"
)

// fetchWant is what a client asks of one partition.
type fetchWant struct {
	name      string
	topic     id.Topic
	partition int32
	offset    int64
	maxBytes  int32
	epoch     id.Epoch
}

// room is how many bytes the client takes of it; there is always room for a batch.
func (w *fetchWant) room() int64 { return max(1, int64(w.maxBytes)) }

// fetchSession remembers what a client follows, so that it need not repeat it
// (KIP-227). A client uses a session for one request at a time.
type fetchSession struct {
	id    int32
	owner string // the principal that opened it: to others it isn't there
	epoch int32
	used  time.Time
	busy  bool // a request is being worked on; guarded by sessions.mu
	wants []fetchWant
	at    map[wantKey]int
	said  map[wantKey]saidState
	next  int
}

type wantKey struct {
	name      string
	topic     id.Topic
	partition int32
}

type saidState struct {
	high, start int64
	failed      bool
}

func (w *fetchWant) key() wantKey { return wantKey{w.name, w.topic, w.partition} }

// told reports whether an answer must name the partition, and remembers it as named.
// The first answer of a session names all.
func (s *fetchSession) told(fp *fetchPart) bool {
	k := fp.want.key()
	now := saidState{fp.state.High, fp.state.LogStart, fp.err != nil}
	before, ok := s.said[k]
	s.said[k] = now
	return !ok || fp.data.Bytes > 0 || now.failed || before != now
}

// turn returns the partition to begin with, another one each time.
func (s *fetchSession) turn(n int) int {
	s.next++
	return s.next % n
}

// sessions keeps a bounded number of fetch sessions, which follow a bounded number of
// partitions together; one that was not used for a while makes room for a new one.
type sessions struct {
	max    int // sessions
	most   int // partitions that all of them follow
	now    func() time.Time
	random *chance.Source
	mu     sync.Mutex
	by     map[int32]*fetchSession
	parts  int // that all of them follow
}

// sessionIdle is how long a session must be unused to be evicted (Kafka's
// min.incremental.fetch.session.eviction.ms).
const sessionIdle = 2 * time.Minute

func newSessions(limit, partitions int, now func() time.Time, random *chance.Source) *sessions {
	return &sessions{max: limit, most: partitions, now: now, random: random, by: map[int32]*fetchSession{}}
}

// open returns what a principal's request asks for, with what the session holds, and its session,
// or nil if it has none.
func (ss *sessions) open(who string, req *kmsg.FetchRequest) (*fetchSession, []fetchWant, error) {
	if req.Version < 7 || req.SessionEpoch == -1 {
		ss.drop(who, req.SessionID)
		return nil, wantsOf(req), nil
	}
	if req.SessionEpoch == 0 {
		ss.drop(who, req.SessionID)
		return ss.create(who, wantsOf(req)), wantsOf(req), nil
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.by[req.SessionID]
	if s == nil || s.owner != who {
		return nil, nil, kerr.FetchSessionIDNotFound
	}
	if req.SessionEpoch != s.epoch || s.busy {
		return nil, nil, kerr.InvalidFetchSessionEpoch
	}
	ss.parts -= len(s.wants)
	s.update(req)
	ss.parts += len(s.wants)
	if len(s.wants) > maxSessionPartitions || ss.parts > ss.most {
		ss.remove(s)
		return nil, nil, kerr.FetchSessionIDNotFound
	}
	s.busy = true
	s.epoch++
	if s.epoch <= 0 {
		s.epoch = 1
	}
	s.used = ss.now()
	return s, append([]fetchWant(nil), s.wants...), nil
}

// close ends the work on a request of the session, which may be nil.
func (ss *sessions) close(s *fetchSession) {
	if s != nil {
		ss.mu.Lock()
		s.busy = false
		ss.mu.Unlock()
	}
}

// maxSessionPartitions is how many partitions a session may follow.
const maxSessionPartitions = 100_000

// remove is called with the lock held.
func (ss *sessions) remove(s *fetchSession) {
	delete(ss.by, s.id)
	ss.parts -= len(s.wants)
}

func (ss *sessions) drop(who string, session int32) {
	if session == 0 {
		return
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.by[session]; s != nil && s.owner == who {
		ss.remove(s)
	}
}

// create makes a session if there is room; without one the client repeats
// itself, which costs only bytes.
func (ss *sessions) create(who string, wants []fetchWant) *fetchSession {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(wants) > maxSessionPartitions {
		return nil
	}
	for len(ss.by) >= ss.max || ss.parts+len(wants) > ss.most {
		if !ss.evict() {
			return nil
		}
	}
	s := &fetchSession{owner: who, epoch: 1, busy: true, used: ss.now(), at: map[wantKey]int{}, said: map[wantKey]saidState{}}
	for s.id == 0 || ss.by[s.id] != nil {
		s.id = int32(ss.random.Uint64() >> 33)
	}
	for _, w := range wants {
		s.set(w)
	}
	ss.by[s.id] = s
	ss.parts += len(s.wants)
	return s
}

func (ss *sessions) evict() bool {
	var oldest *fetchSession
	for _, s := range ss.by {
		if oldest == nil || s.used.Before(oldest.used) {
			oldest = s
		}
	}
	if oldest == nil || ss.now().Sub(oldest.used) < sessionIdle {
		return false
	}
	ss.remove(oldest)
	return true
}

func (s *fetchSession) set(w fetchWant) {
	k := w.key()
	if i, ok := s.at[k]; ok {
		s.wants[i] = w
		return
	}
	s.at[k] = len(s.wants)
	s.wants = append(s.wants, w)
}

// update adds, changes and forgets partitions by the request.
func (s *fetchSession) update(req *kmsg.FetchRequest) {
	for _, w := range wantsOf(req) {
		s.set(w)
	}
	for i := range req.ForgottenTopics {
		f := &req.ForgottenTopics[i]
		for _, p := range f.Partitions {
			k := wantKey{f.Topic, f.TopicID, p}
			delete(s.at, k)
			delete(s.said, k)
		}
	}
	if len(req.ForgottenTopics) == 0 {
		return
	}
	kept := s.wants[:0]
	for _, w := range s.wants {
		if _, ok := s.at[w.key()]; ok {
			s.at[w.key()] = len(kept)
			kept = append(kept, w)
		}
	}
	s.wants = kept
}

func wantsOf(req *kmsg.FetchRequest) []fetchWant {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	wants := make([]fetchWant, 0, n)
	for i := range req.Topics {
		t := &req.Topics[i]
		for k := range t.Partitions {
			p := &t.Partitions[k]
			wants = append(wants, fetchWant{t.Topic, t.TopicID, p.Partition, p.FetchOffset, p.PartitionMaxBytes, id.Epoch(p.CurrentLeaderEpoch)})
		}
	}
	return wants
}
