package meter

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A client's connections are summed, also those that have ended.
func TestClientsAreSummed(t *testing.T) {
	m := NewClients(1)
	name := ClientName{"u", "a"}
	a, b := m.Open(name), m.Open(name)
	a.Requests.Add(3)
	b.Requests.Add(1)
	b.BytesIn.Add(5)
	a.BytesOut.Add(7)
	a.Close()
	a.Close()
	if got := m.totals()[name]; got != (clientTotals{4, 5, 7}) {
		t.Errorf("%+v", got)
	}
}

// Clients beyond the bound share counters; one that has left makes room.
func TestClientsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewClients(2)
		ask := func(id string) *ClientConn {
			c := m.Open(ClientName{"u", id})
			c.Requests.Add(1)
			return c
		}
		series := func() int { return testutil.CollectAndCount(m, "varve_client_requests_total") }
		a, b := ask("a"), ask("b")
		c, d := ask("c"), ask("d")
		if n := m.totals()[ClientName{Others, Others}].requests; n != 2 || series() != 3 {
			t.Errorf("%d requests of others, %d series", n, series())
		}
		for _, conn := range []*ClientConn{b, c, d} {
			conn.Close()
		}
		time.Sleep(clientIdle - time.Second)
		ask("b").Close() // it was back
		time.Sleep(2 * time.Second)
		if m.forget(time.Now()); len(m.mu.by) != 2 {
			t.Error("a client is forgotten that was there a moment ago")
		}
		time.Sleep(clientIdle)
		e := ask("e")
		if _, there := m.totals()[ClientName{"u", "e"}]; !there || len(m.mu.by) != 2 {
			t.Errorf("the client that left makes no room: %v", m.totals())
		}
		if _, there := m.totals()[ClientName{"u", "a"}]; !there {
			t.Error("a client with a connection is forgotten")
		}
		a.Close()
		e.Close()
	})
}
