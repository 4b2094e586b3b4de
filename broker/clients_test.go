package broker

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/meter"
)

// Requests are counted for who asks, by user and client id, and no text breaks the metrics.
func TestClientsAreCounted(t *testing.T) {
	withSecured(t, func(s *secured) {
		s.broker.clients = meter.NewClients(10)
		c := s.connect("User:admin")
		for range 3 {
			c.ask(0, &kmsg.ListGroupsRequest{})
		}
		count := func(name string) float64 {
			r := prometheus.NewRegistry()
			r.MustRegister(s.broker.clients)
			families, err := r.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				for _, m := range f.Metric {
					if f.GetName() == name && m.Label[0].GetValue() == "test" && m.Label[1].GetValue() == "admin" {
						return m.Counter.GetValue()
					}
				}
			}
			return -1
		}
		if n, in, out := count("varve_client_requests_total"), count("varve_client_bytes_in_total"), count("varve_client_bytes_out_total"); n != 3 || in < 3*12 || out < 3*8 {
			t.Errorf("%v requests, %v bytes in, %v out", n, in, out)
		}
		var n counting
		defer n.close()
		bad := n.of(s.broker.clients, &caller{principal: "User:\xff", clientID: "\xfe\x00"})
		bad.Requests.Add(1)
		r := prometheus.NewRegistry()
		r.MustRegister(s.broker.clients)
		if _, err := r.Gather(); err != nil {
			t.Error(err)
		}
	})
}
