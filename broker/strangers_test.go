package broker

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
)

// Whatever comes and goes, the one that makes room is the oldest of the network that has most.
func TestLargestCrowdMakesRoom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newStrangers()
	var model []*stranger // in the order in which they came
	want := func() *stranger {
		if len(model) == 0 {
			return nil
		}
		sizes := map[string]int{}
		for _, x := range model {
			sizes[network(x.c.caller.host)]++
		}
		size := func(x *stranger) int { return sizes[network(x.c.caller.host)] }
		return slices.MaxFunc(model, func(a, b *stranger) int { return cmp.Compare(size(a), size(b)) }) // the first of equals
	}
	for i := range 5000 {
		switch k := r.IntN(8); {
		case k < 4 || len(model) == 0:
			host := fmt.Sprintf("10.0.0.%d", r.IntN(6))
			if k == 0 {
				host = fmt.Sprintf("2001:db8:0:%x::%x", r.IntN(3), i)
			}
			model = append(model, s.add(&conn{caller: &caller{host: host}}))
		case k < 6:
			at := r.IntN(len(model))
			s.remove(model[at])
			model = slices.Delete(model, at, at+1)
		default:
			x := s.next()
			s.remove(x)
			model = slices.DeleteFunc(model, func(y *stranger) bool { return x == y })
		}
		if got := s.next(); got != want() || s.count != len(model) {
			t.Fatalf("step %d: another one makes room, or there are %d instead of %d", i, s.count, len(model))
		}
	}
	for x := s.next(); x != nil; x = s.next() {
		s.remove(x)
	}
	if s.count != 0 || len(s.by) != 0 || len(s.most) != 0 {
		t.Errorf("%d are left, of %d networks", s.count, len(s.by))
	}
}

// One address that opens connections and says nothing keeps nobody else from logging in.
func TestOneAddressKeepsNobodyOut(t *testing.T) {
	const most = 100
	withBouncer(t, func(cfg *Config) { cfg.MaxConnections = most }, func(x *bouncer) {
		slow := x.from("10.0.0.2", saslOnly)
		for range 10 * most {
			defer x.from("10.0.0.1", saslOnly).Close()
			synctest.Wait()
		}
		if resp := slow.plain("alice", "secret"); resp == nil || resp.ErrorCode != 0 || !slow.served() {
			t.Errorf("%+v", resp)
		}
		slow.Close()
	})
}
