package broker

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
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

// One address that opens connections and sends nothing doesn't keep others from logging in.
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

// Clients of one address that send wrong passwords and are gone keep no other from logging in, and
// those that had to make room wait no longer for their passwords to be checked.
func TestFloodsOfPasswordsKeepNobodyOut(t *testing.T) {
	const most, hash = 100, 50 * time.Millisecond
	withBouncer(t, func(cfg *Config) { cfg.MaxConnections = most }, func(x *bouncer) {
		hashed := 0
		secret, err := sasl.NewCredential(sasl.ScramSHA256, "secret", sasl.MinIterations, nil)
		if err != nil {
			t.Fatal(err)
		}
		x.sasl = sasl.NewServer(sasl.Options{Hashes: 1, Lookup: func(user, mechanism string) (sasl.Credential, bool) {
			if mechanism == sasl.ScramSHA256 {
				time.Sleep(hash) // with the turn to hash
				hashed++
			}
			return secret, user == "alice" && mechanism == sasl.ScramSHA256
		}})
		flood := func() {
			c := x.from("10.0.0.1", saslOnly)
			c.handshake(sasl.Plain)
			token := kmsg.NewPtrSASLAuthenticateRequest()
			token.SASLAuthBytes = []byte("\x00mallory\x00wrong")
			token.SetVersion(2)
			_, _ = c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, token, 2))
			c.Close()
		}
		for range 10 * most {
			flood()
		}
		synctest.Wait()
		if open := x.Memory().Connections; open > most {
			t.Errorf("%d are open", open)
		}
		began := time.Now()
		c := x.from("10.0.0.2", saslOnly)
		if resp := c.plain("alice", "secret"); resp == nil || resp.ErrorCode != 0 || time.Since(began) > 3*hash {
			t.Errorf("%+v after %v", resp, time.Since(began))
		}
		c.Close()
		time.Sleep(2 * longestLogin)
		if hashed > most {
			t.Errorf("%d passwords were hashed", hashed)
		}
	})
}

// longestLogin is longer than any login waits.
const longestLogin = time.Minute
