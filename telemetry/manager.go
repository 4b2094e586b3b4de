package telemetry

import (
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// MaxBytes is the largest push, compressed as it is. Kafka's telemetry.max.bytes has the same
// default.
const MaxBytes = 1 << 20

// mostInstances are remembered; one that is forgotten begins anew.
const mostInstances = 16384

// What is wrong with a request, beside ErrCompression and ErrMetrics.
var (
	ErrInvalid             = errors.New("request is invalid")
	ErrTooEarly            = errors.New("request arrived before the next push interval time")
	ErrUnknownSubscription = errors.New("subscription id is unknown")
	ErrTooLarge            = errors.New("metrics are too large")
)

// refused says more about one of these errors.
type refused struct {
	error
	text string
}

func (r *refused) Error() string { return r.text }
func (r *refused) Unwrap() error { return r.error }

func refuse(err error, format string, args ...any) error {
	return &refused{err, fmt.Sprintf(format, args...)}
}

// Answer is what a client is asked for.
type Answer struct {
	Instance     uuid.UUID
	Subscription int32
	Interval     time.Duration
	Metrics      []string // prefixes; "*": all; empty: none
}

// Push is what a client sends.
type Push struct {
	Instance     uuid.UUID
	Subscription int32
	Terminating  bool
	Compression  int8
	Metrics      []byte
}

// Manager decides who pushes what, and how often. It is safe for many goroutines.
type Manager struct {
	subscriptions func() []*Subscription // as they are now
	newInstance   func() uuid.UUID
	sink          *Series

	mu struct {
		sync.Mutex
		by    map[uuid.UUID]*list.Element // of *instance
		order *list.List                  // the one that was used longest ago first
	}
}

// instance is a client that asked.
type instance struct {
	id           uuid.UUID
	subscription int32
	interval     time.Duration
	metrics      []string
	got, pushed  time.Time // its last requests that were not too early
	wrong        bool      // its last push was refused for its subscription or its compression
	terminating  bool      // its last push said that it ends
}

// NewManager makes a manager. sink takes what is pushed.
func NewManager(subscriptions func() []*Subscription, newInstance func() uuid.UUID, sink *Series) *Manager {
	m := &Manager{subscriptions: subscriptions, newInstance: newInstance, sink: sink}
	m.mu.by, m.mu.order = map[uuid.UUID]*list.Element{}, list.New()
	return m
}

// Get answers what a client is asked for. The zero id is of a client that has none yet.
func (m *Manager) Get(id uuid.UUID, c *Client, now time.Time) (Answer, error) {
	if id == uuid.Nil {
		id = m.newInstance()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(id, c)
	if now.Sub(later(i.got, i.pushed)) < i.interval && !i.wrong {
		return Answer{}, refuse(ErrTooEarly, "Request from the client [%s] arrived before the next push interval time", id)
	}
	i.got, i.wrong = now, false
	return Answer{id, i.subscription, i.interval, i.metrics}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Push takes a client's metrics.
func (m *Manager) Push(p *Push, c *Client, now time.Time) error {
	if p.Instance == uuid.Nil {
		return refuse(ErrInvalid, "Invalid request from the client [%s], invalid client instance id", p.Instance)
	}
	asked, interval, err := m.check(p, c, now)
	if err != nil {
		return err
	}
	if err := m.sink.take(p, c, asked, interval, now); err != nil {
		return fmt.Errorf("metrics of client %s: %w", p.Instance, err)
	}
	return nil
}

// check decides whether a push may be taken, in the order in which Kafka looks. It returns what the
// client was asked for, and how often.
func (m *Manager) check(p *Push, c *Client, now time.Time) (asked []string, interval time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(p.Instance, c)
	ended := i.terminating
	i.terminating = ended || p.Terminating
	if ended {
		return nil, 0, refuse(ErrInvalid, "Client [%s] sent the previous request with state terminating to TRUE, can not accept further requests", p.Instance)
	}
	early := !i.got.After(i.pushed) && now.Sub(i.pushed) < i.interval // the first push after a Get comes at a random time
	if !early {
		i.pushed = now // not of one that is refused: a client whose clock is a little fast would always be
	}
	switch {
	case early && !p.Terminating:
		return nil, 0, refuse(ErrTooEarly, "Request from the client [%s] arrived before the next push interval time", p.Instance)
	case p.Subscription != i.subscription:
		i.wrong = true
		return nil, 0, refuse(ErrUnknownSubscription, "Unknown client subscription id for the client [%s]", p.Instance)
	case p.Compression < 0 || p.Compression > 4:
		i.wrong = true
		return nil, 0, refuse(ErrCompression, "Unknown compression type [%d] is received in telemetry request from [%s]", p.Compression, p.Instance)
	case len(p.Metrics) > MaxBytes:
		return nil, 0, refuse(ErrTooLarge, "Telemetry request from [%s] is larger than the maximum allowed size [%d]", p.Instance, MaxBytes)
	}
	i.wrong = false
	return i.metrics, i.interval, nil
}

// find returns an instance with what it is asked for now: where that has changed, it begins anew.
// The lock is held.
func (m *Manager) find(id uuid.UUID, c *Client) *instance {
	fresh := m.asked(id, c)
	at := m.mu.by[id]
	if at == nil {
		if m.mu.order.Len() >= mostInstances {
			delete(m.mu.by, m.mu.order.Remove(m.mu.order.Front()).(*instance).id)
		}
		at = m.mu.order.PushBack(fresh)
		m.mu.by[id] = at
	}
	m.mu.order.MoveToBack(at)
	if at.Value.(*instance).subscription != fresh.subscription {
		at.Value = fresh
	}
	return at.Value.(*instance)
}

// asked computes what a client is asked for, of all subscriptions that match it. The id of that is
// the same on every agent.
func (m *Manager) asked(id uuid.UUID, c *Client) *instance {
	i := &instance{id: id, interval: DefaultInterval}
	found := false
	for _, s := range m.subscriptions() {
		if !s.matches(id.String(), c) {
			continue
		}
		if !found || s.interval < i.interval {
			i.interval = s.interval
		}
		found = true
		i.metrics = append(i.metrics, s.metrics...)
	}
	slices.Sort(i.metrics)
	i.metrics = slices.Compact(i.metrics)
	if slices.Contains(i.metrics, everything) {
		i.metrics = []string{everything}
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for _, name := range i.metrics {
		fmt.Fprintf(sum, "%s\n", name)
	}
	fmt.Fprintf(sum, "%d\n", i.interval)
	i.subscription = int32(sum.Sum32() ^ binary.BigEndian.Uint32(id[:4]))
	return i
}
