package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
)

// Whatever one source does, a line about another one is logged, and what isn't is counted.
func TestLinesOfOthersAreLogged(t *testing.T) {
	m := newMetrics(nil)
	q := m.quiet("access denied", quietEach)
	now := time.Unix(1_790_000_000, 0)
	logged := 0
	for i := range 5000 {
		if _, ok := q.say("User:loud", fmt.Sprint("READ on TOPIC ", i), now.Add(time.Duration(i)*time.Millisecond)); ok {
			logged++
		}
	}
	if logged != quietEach {
		t.Errorf("%d lines about one source", logged)
	}
	for i := range 2 * quietSources {
		if unsaid, ok := q.say(fmt.Sprint("User:", i), "x", now.Add(6*time.Second)); !ok || unsaid != 0 {
			t.Fatalf("source %d: %v, %d unsaid", i, ok, unsaid)
		}
	}
	if got := testutil.ToFloat64(m.unlogged); got != 5000-quietEach {
		t.Errorf("%v lines are counted", got)
	}
	if _, ok := q.say("User:2047", "x", now.Add(quietFor)); ok {
		t.Error("a line is repeated within a minute")
	}
	if unsaid, ok := q.say("User:2047", "y", now.Add(quietFor)); !ok || unsaid != 1 {
		t.Errorf("another line: %v, %d unsaid", ok, unsaid)
	}
	// The budget is there again a minute later, line by line.
	for i := range quietEach {
		if _, ok := q.say("User:new", fmt.Sprint(i), now.Add(time.Duration(i)*time.Second)); !ok {
			t.Errorf("line %d is not logged", i)
		}
	}
	for i, want := range []bool{true, false} {
		if _, ok := q.say("User:new", fmt.Sprint("later ", i), now.Add(quietFor)); ok != want {
			t.Errorf("later, line %d: %v", i, ok)
		}
	}
}

// However many sources there are, the log is bounded.
func TestAllLinesAreBounded(t *testing.T) {
	q := newMetrics(nil).quiet("authentication failed", 1)
	now := time.Unix(1_790_000_000, 0)
	logged := 0
	for i := range 3 * quietLines {
		if _, ok := q.say(fmt.Sprint(i), "", now); ok {
			logged++
		}
	}
	if logged != quietLines {
		t.Errorf("%d lines in a minute", logged)
	}
	if _, ok := q.say("a", "", now.Add(quietFor)); !ok {
		t.Error("nothing is logged after it")
	}
}

// A principal that asks for a thousand names is logged, but not so that others are not, and a
// client id is bounded.
func TestDenialsDontFillTheLog(t *testing.T) {
	withSecured(t, func(s *secured) {
		loud, other := s.connect("User:loud"), s.connect("User:other")
		req := kmsg.NewPtrMetadataRequest()
		for i := range 1100 {
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = kmsg.StringPtr(fmt.Sprint("t", i))
			req.Topics = append(req.Topics, topic)
		}
		loud.ask(9, req)
		if got := s.audit.taken(); len(got) != quietEach {
			t.Errorf("%d lines", len(got))
		}
		req.Topics = req.Topics[:1]
		other.ask(9, req)
		if got := s.audit.taken(); len(got) != 1 {
			t.Errorf("about another principal: %q", got)
		}
		for i := range 2 { // of different networks, though one principal
			c := &caller{principal: anonymous, clientID: strings.Repeat("A", 32_000), host: fmt.Sprintf("10.0.0.%d", i), rights: s.broker.authorizer.rights()}
			for n := range 2 * quietEach {
				c.allowed(acl.Read, acl.Topic, fmt.Sprint(n))
			}
			got := s.audit.taken()
			if len(got) != quietEach {
				t.Errorf("%d lines about a stranger", len(got))
			}
			for _, line := range got {
				if len(line) > 1000 {
					t.Fatalf("a line of %d bytes", len(line))
				}
			}
		}
	})
}

// Failures are logged by network: of IPv6 a host has more addresses than are remembered.
func TestOneNetworkIsOneSource(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		for i := range 50 {
			_, _ = x.Authenticate(x.Context(), fmt.Sprintf("[2001:db8::%x]:1", i+1), "alice", "wrong")
		}
		_, _ = x.Authenticate(x.Context(), "[2001:db8:0:1::1]:1", "alice", "wrong")
		if n := strings.Count(x.log.String(), "authentication failed"); n > 4 { // the penalties take two minutes
			t.Errorf("%d lines about two networks", n)
		}
	})
}
