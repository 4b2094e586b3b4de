package coordinator

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/metadata"
	"varve/metadata/schema"
)

// tally is a machine that adds numbers up, and stores the sum.
type tally struct {
	out     Effects
	key     string
	sum     int
	there   bool
	storing bool
	again   bool     // to be stored again
	now     []Ticket // answered by the Store under way
	next    []Ticket // answered by the next
	away    bool
	wake    time.Time
	ticks   int
	restive bool // asks to be woken again at once, always
}

const prefix = "tally/"

// add adds a number; the answer is the sum once it is durable, or an error.
type add struct {
	ticket Ticket
	n      int
}

// rouse lets the machine wake up without end.
type rouse struct{}

func (m *tally) Step(now time.Time, e Event) []Effect {
	m.out.Begin(now)
	switch e := e.(type) {
	case add:
		m.there, m.again = true, true
		m.sum += e.n
		m.next = append(m.next, e.ticket)
	case rouse:
		m.there, m.restive, m.wake = true, true, now
	case Tick:
		m.ticks++
		m.wake = time.Time{}
		if m.restive {
			m.wake = now
		}
	case Stored:
		m.storing = false
		m.answer(&m.now, m.sum)
	case StoreAway:
		m.away = e.Away
	case Resign:
		m.answer(&m.now, e.Err)
		m.answer(&m.next, e.Err)
		return m.out.All()
	}
	if m.again && !m.storing {
		m.storing, m.again = true, false
		m.now, m.next = m.next, nil
		m.out.Store([]metadata.Op{metadata.Put(prefix+m.key, []byte(strconv.Itoa(m.sum)))})
	}
	if m.away {
		m.answer(&m.now, ErrAway)
		m.answer(&m.next, ErrAway)
	}
	return m.out.All()
}

func (m *tally) answer(tickets *[]Ticket, a any) {
	for _, t := range *tickets {
		m.out.Reply(t, answered{a})
	}
	*tickets = nil
}

// answered is the answer to an add.
type answered struct{ a any }

func (m *tally) Wake() time.Time { return m.wake }
func (m *tally) Gone() bool      { return !m.there && !m.Busy() }
func (m *tally) Busy() bool      { return m.storing || m.again }
func (m *tally) Idle() bool      { return !m.Busy() && !m.restive }
func (m *tally) State() string   { return "There" }
func (m *tally) Size() int       { return m.sum }
func (m *tally) Summary() any    { return m.sum }

// Expiry is a day after the last step; the tally "stale" has always expired, "lasting" never
// does.
func (m *tally) Expiry() time.Time {
	switch m.key {
	case "stale":
		return m.out.Now
	case "lasting":
		return time.Time{}
	}
	return m.out.Now.Add(24 * time.Hour)
}

// tallies are machines that add up; a value "bad" can't be decoded.
func tallies() Kind {
	return Kind{
		Name: "tally", Plural: "tallies", Unread: "Unread",
		New: func(key string) Machine { return &tally{key: key} },
		Load: func(key string, stored []metadata.KV) (Machine, bool, error) {
			m := &tally{key: key}
			for _, kv := range stored {
				if string(kv.Value) == "bad" {
					return nil, false, &schema.ValueError{Kind: "tally", Err: errors.New("it is bad")}
				}
				var err error
				if m.sum, err = strconv.Atoi(string(kv.Value)); err != nil {
					return nil, false, fmt.Errorf("read %s: %w", kv.Key, err)
				}
				m.there = true
			}
			return m, false, nil
		},
		Values: []Values{{Prefix: prefix, At: func(key string) string { return prefix + key },
			Of: func(key string) (string, error) { return strings.TrimPrefix(key, prefix), nil }}},
		Unreadable: func(string) any { return -1 },
		AwayText:   "away", BackText: "back",
		Metrics: Metrics{
			Machines:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "machines"}, []string{"state"}),
			Loaded:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "loaded"}),
			StoreFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "failures"}),
		},
	}
}
