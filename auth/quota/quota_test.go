package quota

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var begin = time.Unix(1_790_000_000, 0)

func userAnd(user, client string) Entity {
	return Entity{User: Named(user), ClientID: Named(client)}
}

func values(k Key, v float64) (out Values) {
	out[k] = v
	return out
}

// client returns a client with a quota of its own.
func client(m *Meters, k Key, bound float64) *Client {
	c := NewClient(m)
	c.Is((*Set)(nil).With(map[Entity]Values{{User: Named("a")}: values(k, bound)}), "a", "c")
	return c
}

// The numbers are those of Kafka's ClientQuotaManagerTest.testQuotaViolation.
func TestWaitsAreKafkas(t *testing.T) {
	c, now := client(NewMeters(10, begin), ProducerByteRate, 500), begin
	record := func(v float64) time.Duration { return c.Record(ProducerByteRate, v, now) }
	for range 10 {
		if wait := record(400); wait != 0 {
			t.Fatal(wait)
		}
		now = now.Add(time.Second)
	}
	now = now.Add(500 * time.Millisecond)
	if wait := record(2300); wait != 2100*time.Millisecond {
		t.Errorf("after a burst: %v", wait)
	}
	now = now.Add(2100 * time.Millisecond)
	for range 10 {
		record(400)
		now = now.Add(time.Second)
	}
	if wait := record(0); wait != 0 {
		t.Errorf("when the burst is over: %v", wait)
	}
}

// A client that waits as it is told uses its quota in the long run. With large pieces it is a
// little more, as by Kafka: what is out of the window is forgotten at once.
func TestClientsThatWaitUseTheirQuota(t *testing.T) {
	for _, size := range []float64{100, 1000, 30_000} {
		c, now, used := client(NewMeters(10, begin), ConsumerByteRate, 10_000), begin, 0.0
		for now.Sub(begin) < 300*time.Second {
			used += size
			now = now.Add(c.Record(ConsumerByteRate, size, now) + time.Millisecond)
		}
		if rate := used / 300; rate < 9000 || rate > 11_500 {
			t.Errorf("pieces of %v: %v per second", size, rate)
		}
	}
}

// A wait fits an answer, however much was used.
func TestWaitsAreBounded(t *testing.T) {
	c := client(NewMeters(10, begin), ProducerByteRate, 1)
	if wait := c.Record(ProducerByteRate, 1e18, begin); wait != math.MaxInt32*time.Millisecond {
		t.Error(wait)
	}
}

// What must wait isn't added; what is too large for any window is let through alone.
func TestTry(t *testing.T) {
	c, now := client(NewMeters(10, begin), ConsumerByteRate, 100), begin
	if most, ok := c.Most(ConsumerByteRate); most != 1000 || !ok {
		t.Error(most, ok)
	}
	if wait := c.Try(ConsumerByteRate, 5000, now); wait != 0 {
		t.Errorf("alone: %v", wait)
	}
	if a, b := c.Try(ConsumerByteRate, 1, now), c.Try(ConsumerByteRate, 1, now); a != b || a < 30*time.Second {
		t.Errorf("%v, then %v", a, b)
	}
	now = now.Add(12 * time.Second)
	for range 2 {
		if wait := c.Try(ConsumerByteRate, 500, now); wait != 0 {
			t.Error(wait)
		}
	}
	if wait := c.Try(ConsumerByteRate, 100, now); wait != time.Second {
		t.Error(wait)
	}
}

// The bucket is that of KIP-599: a burst of 560 with 5 tokens per second and, here, 11 samples.
func TestBucket(t *testing.T) {
	c, now := client(NewMeters(10, begin), ControllerMutationRate, 5), begin
	take := func(n float64, strict bool) time.Duration { return c.Take(ControllerMutationRate, n, strict, now) }
	if wait := take(115, true); wait != 0 {
		t.Errorf("a bucket that isn't overdrawn gives any number: %v", wait)
	}
	for range 2 {
		if wait := take(1, true); wait != 12*time.Second {
			t.Errorf("60 too many: %v", wait)
		}
	}
	if wait := take(5, false); wait != 13*time.Second {
		t.Errorf("65 too many: %v", wait)
	}
	now = now.Add(13 * time.Second)
	if wait := take(1, true); wait != 0 {
		t.Error(wait)
	}
	now = now.Add(time.Hour)
	if wait := take(55, false); wait != 0 {
		t.Errorf("a full bucket: %v", wait)
	}
	if wait := take(1, false); wait != 200*time.Millisecond {
		t.Errorf("an empty one: %v", wait)
	}
}

// The first of Kafka's eight levels that has a quota of the kind counts.
func TestPrecedence(t *testing.T) {
	order := []struct{ entity, of Entity }{
		{userAnd("a", "c"), userAnd("a", "c")},
		{Entity{User: Named("a"), ClientID: Default()}, userAnd("a", "c")},
		{Entity{User: Named("a")}, Entity{User: Named("a")}},
		{Entity{User: Default(), ClientID: Named("c")}, userAnd("a", "c")},
		{Entity{User: Default(), ClientID: Default()}, userAnd("a", "c")},
		{Entity{User: Default()}, Entity{User: Named("a")}},
		{Entity{ClientID: Named("c")}, Entity{ClientID: Named("c")}},
		{Entity{ClientID: Default()}, Entity{ClientID: Named("c")}},
	}
	for chosen := range 1 << len(order) {
		changes := map[Entity]Values{userAnd("a", "other"): values(ProducerByteRate, 1), userAnd("b", "c"): values(ProducerByteRate, 1)}
		want := -1
		for i := len(order) - 1; i >= 0; i-- {
			changes[order[i].entity] = values(ConsumerByteRate, 1)
			if chosen>>i&1 == 1 {
				changes[order[i].entity] = values(ProducerByteRate, float64(i+1))
				want = i
			}
		}
		r, ok := (*Set)(nil).With(changes).Find(ProducerByteRate, "a", "c")
		if ok != (want >= 0) || ok && (r.Bound != float64(want+1) || r.Entity != order[want].entity || r.Of != order[want].of) {
			t.Errorf("of %08b: %+v, %v, want %d", chosen, r, ok, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	set := (*Set)(nil).With(map[Entity]Values{{IP: Named("::1")}: values(ConnectionCreationRate, 1), {IP: Default()}: values(ConnectionCreationRate, 2)})
	for ip, bound := range map[string]float64{"::1": 1, "0:0:0:0:0:0:0:1": 1, "10.0.0.1": 2, "a pipe": 2} {
		if r, ok := set.FindIP(ConnectionCreationRate, ip); !ok || r.Bound != bound {
			t.Errorf("%s: %+v, %v", ip, r, ok)
		}
	}
	m, now := NewMeters(10, begin), begin
	if ip, ok := Address("::ffff:10.0.0.1"); ip != "10.0.0.1" || !ok {
		t.Error(ip, ok)
	}
	waits := 0
	for range 100 {
		_, wait := m.TryIP(set, ConnectionCreationRate, "::ffff:10.0.0.1", now)
		if wait > 0 {
			waits++
		}
		now = now.Add(100 * time.Millisecond)
	}
	if waits < 70 || waits > 80 { // 20 in ten seconds, and the first ten seconds' burst
		t.Errorf("%d of 100 connections in ten seconds had to wait", waits)
	}
}

// Entities and values are refused in Kafka's words.
func TestInvalid(t *testing.T) {
	ip := Entity{IP: Named("10.0.0.1")}
	for _, c := range []struct {
		e     Entity
		key   string
		value float64
		want  string
	}{
		{userAnd("a", "c"), "producer_byte_rate", 1, ""},
		{userAnd("a", "c"), "consumer_byte_rate", 1 << 40, ""},
		{Entity{User: Default()}, "request_percentage", 0.5, ""},
		{Entity{ClientID: Default()}, "controller_mutation_rate", 0.5, ""},
		{ip, "connection_creation_rate", 5, ""},
		{Entity{IP: Default()}, "connection_creation_rate", 5, ""},
		{ip, "producer_byte_rate", 1, "Invalid configuration key producer_byte_rate"},
		{userAnd("a", "c"), "connection_creation_rate", 1, "Invalid configuration key connection_creation_rate"},
		{userAnd("a", "c"), "x", 1, "Invalid configuration key x"},
		{userAnd("a", "c"), "producer_byte_rate", 0, "Quota producer_byte_rate must be greater than 0"},
		{userAnd("a", "c"), "request_percentage", -1, "Quota request_percentage must be greater than 0"},
		{userAnd("a", "c"), "request_percentage", math.NaN(), "Quota request_percentage must be greater than 0"},
		{userAnd("a", "c"), "producer_byte_rate", 1.5, "producer_byte_rate cannot be a fractional value."},
		{userAnd("a", "c"), "producer_byte_rate", 1e20, "Proposed value for producer_byte_rate is too large for a LONG."},
		{ip, "connection_creation_rate", 1 << 31, "Proposed value for connection_creation_rate is too large for an INT."},
		{Entity{}, "producer_byte_rate", 1, "Invalid empty client quota entity"},
		{Entity{IP: Named("a.b.c")}, "connection_creation_rate", 1, "a.b.c is not a valid IP or resolvable host."},
		{Entity{IP: Default(), User: Default()}, "connection_creation_rate", 1, "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"},
		{Entity{User: Named(strings.Repeat("x", MaxName+1))}, "producer_byte_rate", 1, "A user of 1025 bytes is longer than 1024"},
	} {
		err := c.e.Validate()
		if err == nil {
			_, err = CheckValue(c.e, c.key, c.value)
		}
		if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") {
			t.Errorf("%v %s=%v: %s, want %s", c.e, c.key, c.value, got, c.want)
		}
	}
}

// Filters select as ClientQuotasImage does.
func TestFilters(t *testing.T) {
	all := []Entity{{User: Named("a")}, {User: Default()}, {ClientID: Named("c")}, userAnd("a", "c"), {User: Named("a"), ClientID: Default()}, {IP: Default()}}
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "user=a, user=<default>, client-id=c, user=a client-id=c, user=a client-id=<default>, ip=<default>"},
		{Filter{Strict: true}, ""},
		{Filter{Components: []Component{{User, MatchExact, "a"}}}, "user=a, user=a client-id=c, user=a client-id=<default>"},
		{Filter{Components: []Component{{User, MatchExact, "a"}}, Strict: true}, "user=a"},
		{Filter{Components: []Component{{User, MatchExact, ""}}}, ""},
		{Filter{Components: []Component{{User, MatchDefault, ""}}}, "user=<default>"},
		{Filter{Components: []Component{{User, MatchAny, ""}}, Strict: true}, "user=a, user=<default>"},
		{Filter{Components: []Component{{User, MatchAny, ""}, {ClientID, MatchDefault, ""}}}, "user=a client-id=<default>"},
		{Filter{Components: []Component{{IP, MatchAny, ""}}}, "ip=<default>"},
	} {
		var got []string
		for _, e := range all {
			if c.f.Matches(e) {
				got = append(got, e.String())
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%+v: %v, want %s", c.f, got, c.want)
		}
	}
}

// Sets don't change, and hold what was put in.
func TestSetsAreImmutable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	model := map[Entity]Values{}
	var set *Set
	for range 500 {
		e, v := userAnd(fmt.Sprint(random.IntN(5)), fmt.Sprint(random.IntN(5))), Values{}
		if random.IntN(3) > 0 {
			v = values(Keys()[random.IntN(4)], 1+random.Float64())
		}
		before, was := set, set.Get(e)
		set = set.With(map[Entity]Values{e: v})
		if before.Get(e) != was {
			t.Fatal("a set changed")
		}
		if delete(model, e); v != (Values{}) {
			model[e] = v
		}
		if set.Len() != len(model) || set.Get(e) != v {
			t.Fatalf("%d of %d, %v", set.Len(), len(model), set.Get(e))
		}
		for _, k := range Keys() {
			some := false
			for _, v := range model {
				some = some || v[k] > 0
			}
			if set.Has(k) != some {
				t.Fatalf("%v: %v", k, set.Has(k))
			}
		}
		var last Entity
		for e, v := range set.All() {
			if last.Compare(e) >= 0 && last != (Entity{}) || model[e] != v {
				t.Fatalf("%v after %v is %v", e, last, v)
			}
			last = e
		}
	}
}

// A client that changes its name all the time neither grows memory nor escapes: beyond a bound, clients
// share a meter. Idle meters are dropped.
func TestMetersAreBounded(t *testing.T) {
	m, now := NewMeters(100, begin), begin
	set := (*Set)(nil).With(map[Entity]Values{{ClientID: Default()}: values(ProducerByteRate, 10)})
	c, waits := NewClient(m), 0
	for i := range 1000 {
		c.Is(set, "a", fmt.Sprint("id", i))
		if c.Record(ProducerByteRate, 10, now) > 0 {
			waits++
		}
	}
	if m.Len() != 101 || waits != 890 { // 100 of their own, and 10 in the window of the shared one
		t.Errorf("%d meters, %d waits", m.Len(), waits)
	}
	long := NewClient(m)
	long.Is(set, "a", strings.Repeat("x", meteredName+1))
	if long.Record(ProducerByteRate, 10, now) == 0 {
		t.Error("a long name has a meter of its own")
	}
	now = now.Add(20 * time.Second)
	kept := NewClient(m)
	kept.Is(set, "a", "id1")
	kept.Record(ProducerByteRate, 10, now)
	other := NewClient(m)
	other.Is(set, "a", "new")
	other.Record(ProducerByteRate, 10, now)
	if n := m.Len(); n > 3 {
		t.Errorf("%d meters are left", n)
	}
	if c.Record(ProducerByteRate, 200, now) == 0 { // its meter is gone
		t.Error("not measured any more")
	}
	twin := NewClient(m)
	twin.Is(set, "a", c.id)
	if twin.Record(ProducerByteRate, 1, now) == 0 {
		t.Error("two clients of one name are measured apart")
	}
}

// A changed quota holds at the next request, for what was used before, too.
func TestChangedQuota(t *testing.T) {
	m := NewMeters(10, begin)
	c := client(m, ProducerByteRate, 1000)
	if wait := c.Record(ProducerByteRate, 9000, begin); wait != 0 {
		t.Error(wait)
	}
	lower := c.set.With(map[Entity]Values{{User: Named("a")}: values(ProducerByteRate, 100)})
	c.Is(lower, "a", "c")
	if wait := c.Record(ProducerByteRate, 0, begin); wait < time.Minute {
		t.Error(wait)
	}
	c.Is(nil, "a", "c")
	if wait := c.Record(ProducerByteRate, 1e9, begin); wait != 0 {
		t.Error(wait)
	}
}

func BenchmarkRecord(b *testing.B) {
	c := client(NewMeters(10, begin), ProducerByteRate, 1e15)
	for i := 0; b.Loop(); i++ {
		c.Is(c.set, "a", "c")
		c.Record(ProducerByteRate, 1, begin.Add(time.Duration(i)*time.Microsecond))
	}
}
