package meter

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ClientName is what clients are told apart by.
type ClientName struct{ User, ID string }

// ClientConn is what a client asked on one connection. A connection has counters to itself, so that connections
// on different processors don't write to the same memory.
type ClientConn struct {
	Requests, BytesIn, BytesOut atomic.Int64

	_    [64]byte // others' counters are in other cache lines
	all  *Clients
	of   *client
	once sync.Once
}

// clientTotals are sums of counters.
type clientTotals struct{ requests, in, out int64 }

func (t *clientTotals) add(c *ClientConn) {
	t.requests += c.Requests.Load()
	t.in += c.BytesIn.Load()
	t.out += c.BytesOut.Load()
}

// client has the counters of all connections of a client.
type client struct {
	open   map[*ClientConn]struct{}
	closed clientTotals // of connections that have ended
	left   time.Time    // when the last connection ended
}

// clientIdle is for how long a client without connections keeps its series.
const clientIdle = 5 * time.Minute

// Clients keeps the counters of clients, and is their collector.
type Clients struct {
	most int

	mu struct {
		sync.Mutex
		by     map[ClientName]*client
		other  client
		looked time.Time // when clients without connections were last looked for
	}
}

// NewClients makes counters for at most that many clients of their own; the others share one.
func NewClients(most int) *Clients {
	m := &Clients{most: most}
	m.mu.by = map[ClientName]*client{}
	m.mu.other.open = map[*ClientConn]struct{}{}
	return m
}

// Open returns the counters of a connection of a client, which count until they are closed.
func (m *Clients) Open(name ClientName) *ClientConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := m.mu.by[name]
	if of == nil {
		if len(m.mu.by) >= m.most {
			m.forget(time.Now())
		}
		if len(m.mu.by) < m.most {
			of = &client{open: map[*ClientConn]struct{}{}}
			m.mu.by[name] = of
		} else {
			of = &m.mu.other
		}
	}
	c := &ClientConn{all: m, of: of}
	of.open[c] = struct{}{}
	return c
}

// Close ends the counters of a connection. What they have counted stays.
func (c *ClientConn) Close() {
	c.once.Do(func() {
		c.all.mu.Lock()
		defer c.all.mu.Unlock()
		delete(c.of.open, c)
		c.of.closed.add(c)
		c.of.left = time.Now()
	})
}

// forget drops clients that have had no connection for a while, at most once a second; the lock is held.
func (m *Clients) forget(now time.Time) {
	if now.Sub(m.mu.looked) < time.Second {
		return
	}
	m.mu.looked = now
	for name, c := range m.mu.by {
		if len(c.open) == 0 && now.Sub(c.left) >= clientIdle {
			delete(m.mu.by, name)
		}
	}
}

var (
	clientRequests = clientDesc("requests_total", "Requests of a client, by user and client id. Clients beyond metrics.max_clients are one, \"(other)\"; one without a connection for 5 minutes may have no series.")
	clientBytesIn  = clientDesc("bytes_in_total", "Bytes of a client's requests.")
	clientBytesOut = clientDesc("bytes_out_total", "Bytes of the answers to a client.")
)

func clientDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("varve_client_"+name, help, []string{"user", "client_id"}, nil)
}

// Describe implements prometheus.Collector.
func (m *Clients) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{clientRequests, clientBytesIn, clientBytesOut} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Clients) Collect(ch chan<- prometheus.Metric) {
	for name, t := range m.totals() {
		for desc, n := range map[*prometheus.Desc]int64{clientRequests: t.requests, clientBytesIn: t.in, clientBytesOut: t.out} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), name.User, name.ID)
		}
	}
}

// totals returns what each client asked, the others as one.
func (m *Clients) totals() map[ClientName]clientTotals {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now())
	all := make(map[ClientName]clientTotals, len(m.mu.by)+1)
	for name, c := range m.mu.by {
		all[name] = c.total()
	}
	if t := m.mu.other.total(); t != (clientTotals{}) {
		all[ClientName{Others, Others}] = t
	}
	return all
}

// total sums a client's counters; the lock is held.
func (c *client) total() clientTotals {
	t := c.closed
	for conn := range c.open {
		t.add(conn)
	}
	return t
}
