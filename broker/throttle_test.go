package broker

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/quota"
	"varve/internal/id"
)

// timed asks, and returns how long the answer took and for how long it tells the client to wait.
func (c *connected) timed(version int16, req kmsg.Request) (resp kmsg.Response, took, wait time.Duration) {
	c.s.Helper()
	began := time.Now()
	resp = c.ask(version, req)
	if resp == nil {
		c.s.Fatalf("%T: no answer", req)
	}
	ms, _ := resp.(kmsg.ThrottleResponse).Throttle()
	return resp, time.Since(began), time.Duration(ms) * time.Millisecond
}

// exceed uses a user's quota up to far beyond its bound.
func (s *secured) exceed(user string, k quota.Key, by float64) {
	c := quota.NewClient(s.broker.quotas.meters)
	c.Is(s.view.Quotas.Set(), user, "test")
	c.Record(k, by, time.Now())
}

func (s *secured) produceTo(topic string, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	return req
}

func fetchFrom(topic string, session, epoch int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionID, req.SessionEpoch = 100, 1, 1<<20, session, epoch
	if epoch <= 0 {
		req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{{PartitionMaxBytes: 1 << 20, CurrentLeaderEpoch: -1}}}}
	}
	return req
}

// A producer over its quota is answered at once, and told for how long to wait; if it doesn't,
// its next request is read only then. What it asked for is done. Others aren't held back.
func TestProducersAreThrottled(t *testing.T) {
	withSecured(t, func(s *secured) {
		s.topic("t")
		s.setQuota("user=admin client-id=test", "producer_byte_rate", 10)
		c := s.connect("User:admin")
		size := float64(len(kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, func() kmsg.Request { r := s.produceTo("t", s.batch()); r.Version = 9; return r }(), 1)) - 4)
		resp, took, wait := c.timed(9, s.produceTo("t", s.batch()))
		want := time.Duration((size/10 - 10) / 10 * 10 * float64(time.Second)).Round(time.Millisecond)
		if e := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; e != 0 || took > 0 || wait != want {
			t.Errorf("code %d after %v, told to wait for %v, want %v", e, took, wait, want)
		}
		if _, took, _ := s.connect("User:admin").timed(9, &kmsg.MetadataRequest{}); took > 0 {
			t.Errorf("another connection waited for %v", took)
		}
		if _, took, _ := c.timed(9, &kmsg.MetadataRequest{}); took != wait {
			t.Errorf("the next answer took %v, want %v", took, wait)
		}
		if got := testutil.ToFloat64(s.broker.quotas.metrics.seconds.WithLabelValues("producer_byte_rate", "admin", "test", "")); got != want.Seconds() {
			t.Errorf("metric: %v", got)
		}
		s.setQuota("user=admin client-id=test", "producer_byte_rate", 0)
		for range 3 {
			if _, took, wait := c.timed(9, s.produceTo("t", s.batch())); took > 0 || wait > 0 {
				t.Errorf("without a quota: %v, %v", took, wait)
			}
		}
	})
}

// A consumer over its quota gets nothing, and the same records when it has waited; a session
// goes on, but doesn't begin with an answer that has nothing.
func TestConsumersAreThrottled(t *testing.T) {
	withSecured(t, func(s *secured) {
		at := id.Partition{Topic: s.topic("t")}
		p := s.parts.Get(at)
		done := make(appended, 1)
		if err := p.Append(s.Context(), s.batch(), p.Now(), id.NoEpoch, done); err != nil {
			t.Fatal(err)
		}
		<-done
		c := s.connect("User:admin")
		s.setQuota("user=admin", "consumer_byte_rate", 40)
		bytes := func(resp kmsg.Response) (n int) {
			for _, t := range resp.(*kmsg.FetchResponse).Topics {
				n += len(t.Partitions[0].RecordBatches)
			}
			return n
		}
		session := int32(0)
		epoch := int32(0)
		got, waits := 0, 0
		began := time.Now()
		for time.Since(began) < time.Minute {
			resp, took, wait := c.timed(11, fetchFrom("t", session, epoch))
			r := resp.(*kmsg.FetchResponse)
			n := bytes(resp)
			switch {
			case r.ErrorCode != 0:
				t.Fatalf("code %d", r.ErrorCode)
			case wait > 0 && (n > 0 || took > 0 || session == 0 && r.SessionID != 0 || session != 0 && r.SessionID != session):
				t.Fatalf("throttled for %v after %v with %d bytes, session %d, then %d", wait, took, n, session, r.SessionID)
			case wait > 0:
				waits++
				time.Sleep(wait)
			}
			got += n
			session, epoch = 0, 0 // read from the start again
			if wait == 0 && n == 0 {
				t.Fatal("neither records nor a wait")
			}
		}
		if rate := float64(got) / 60; rate < 28 || rate > 46 || waits == 0 {
			t.Errorf("%v bytes per second, %d waits", rate, waits)
		}
		time.Sleep(20 * time.Second)
		resp, _, _ := c.timed(11, fetchFrom("t", 0, 0))
		session = resp.(*kmsg.FetchResponse).SessionID
		if session == 0 || bytes(resp) == 0 {
			t.Fatal("no session")
		}
		s.exceed("admin", quota.ConsumerByteRate, 1000)
		if err := p.Append(s.Context(), s.batch(), p.Now(), id.NoEpoch, done); err != nil {
			t.Fatal(err)
		}
		<-done
		next := fetchFrom("t", session, 1)
		next.Topics = fetchFrom("t", 0, 0).Topics
		next.Topics[0].Partitions[0].FetchOffset = 1
		resp, _, wait := c.timed(11, next)
		if r := resp.(*kmsg.FetchResponse); wait == 0 || r.SessionID != session || bytes(resp) > 0 {
			t.Errorf("in a session: %v, %+v", wait, r)
		}
		resp, took, again := c.timed(11, fetchFrom("t", session, 2))
		if took < wait || again > 0 || bytes(resp) == 0 {
			t.Errorf("after %v of %v: %d bytes, %v", took, wait, bytes(resp), again)
		}
	})
}

// Of partitions that are created and deleted there may be as many as a burst has, and one too
// many; then new versions of requests are refused, old ones done, and both have to wait.
func TestMutationsAreLimited(t *testing.T) {
	withSecured(t, func(s *secured) {
		s.setQuota("user=admin", "controller_mutation_rate", 1) // a burst is of 11
		c := s.connect("User:admin")
		create := func(version int16, names ...string) (codes []int16, wait time.Duration) {
			req := &kmsg.CreateTopicsRequest{TimeoutMillis: 1000}
			for _, name := range names {
				req.Topics = append(req.Topics, kmsg.CreateTopicsRequestTopic{Topic: name, NumPartitions: 6, ReplicationFactor: 1})
			}
			resp, _, wait := c.timed(version, req)
			for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
				codes = append(codes, t.ErrorCode)
			}
			return codes, wait
		}
		codes, wait := create(7, "a", "a/b", "b", "c")
		if len(codes) != 4 || codes[0] != 0 || codes[1] != 17 || codes[2] != 0 || codes[3] != 89 || wait != time.Second {
			t.Errorf("codes %v, wait %v", codes, wait)
		}
		began := time.Now()
		if codes, wait := create(7, "c"); codes[0] != 0 || wait != 0 || time.Since(began) != time.Second {
			t.Errorf("after %v: codes %v, wait %v", time.Since(began), codes, wait)
		}
		if codes, wait := create(5, "d"); codes[0] != 0 || wait != 12*time.Second {
			t.Errorf("version 5: codes %v, wait %v", codes, wait)
		}
		s.topic("e")
		for _, x := range []struct {
			version int16
			req     kmsg.Request
			code    func(kmsg.Response) int16
			want    int16
		}{
			{6, &kmsg.DeleteTopicsRequest{TimeoutMillis: 1000, Topics: []kmsg.DeleteTopicsRequestTopic{{Topic: kmsg.StringPtr("e")}}}, func(r kmsg.Response) int16 { return r.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode }, 89},
			{3, &kmsg.CreatePartitionsRequest{TimeoutMillis: 1000, Topics: []kmsg.CreatePartitionsRequestTopic{{Topic: "e", Count: 2}}}, func(r kmsg.Response) int16 { return r.(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode }, 89},
			{2, &kmsg.CreatePartitionsRequest{TimeoutMillis: 1000, Topics: []kmsg.CreatePartitionsRequestTopic{{Topic: "e", Count: 2}}}, func(r kmsg.Response) int16 { return r.(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode }, 0},
			{4, &kmsg.DeleteTopicsRequest{TimeoutMillis: 1000, TopicNames: []string{"e"}}, func(r kmsg.Response) int16 { return r.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode }, 0},
		} {
			resp, _, wait := s.connect("User:admin").timed(x.version, x.req) // not held back
			if got := x.code(resp); got != x.want || wait == 0 {
				t.Errorf("%T version %d: code %d, wait %v", x.req, x.version, got, wait)
			}
		}
		resp, _, _ := s.connect("User:admin").timed(9, &kmsg.MetadataRequest{AllowAutoTopicCreation: true, Topics: []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("auto")}}})
		if _, made := s.view.Topic("auto"); made || resp.(*kmsg.MetadataResponse).Topics[0].ErrorCode != 3 {
			t.Error("created by Metadata")
		}
	})
}

// A throttle time stands in every answer that has the field, and is kept to.
func TestEveryAnswerTellsToWait(t *testing.T) {
	withSecured(t, func(s *secured) {
		ids := map[string]id.Topic{"t": s.topic("t"), "u": s.topic("u")}
		s.setQuota("user=nobody", "request_percentage", 1)
		all := attempts(s, ids)
		for _, a := range s.broker.apis.rows() {
			if open[a.key] != "" && a.key != kmsg.ApiVersions {
				continue
			}
			tries := all[a.key]
			if a.key == kmsg.ApiVersions {
				tries = []attempt{{version: 2, req: &kmsg.ApiVersionsRequest{}}}
			}
			x := tries[len(tries)-1]
			s.exceed("nobody", quota.RequestPercentage, 10_000)
			c := s.connect("User:nobody")
			resp := c.ask(a.max, x.req)
			if a.key == kmsg.ApiVersions || a.key == kmsg.OffsetFetch { // other versions have other fields
				resp = s.connect("User:nobody").ask(x.version, x.req)
			}
			told, ok := resp.(kmsg.ThrottleResponse)
			if !ok {
				t.Errorf("%s: %T", a.key.Name(), resp)
				continue
			}
			if ms, _ := told.Throttle(); ms != 1000 {
				t.Errorf("%s: a throttle time of %d ms", a.key.Name(), ms)
			}
			s.exceed("nobody", quota.RequestPercentage, 10_000)
			began := time.Now()
			if c.ask(9, &kmsg.MetadataRequest{}); time.Since(began) != time.Second {
				t.Errorf("%s: the next answer took %v", a.key.Name(), time.Since(began))
			}
		}
	})
}

// What a request waited for others isn't worked on it, and the wait for a quota of
// request_percentage is at most a second.
func TestWorkedTime(t *testing.T) {
	withSecured(t, func(s *secured) {
		s.setQuota("user=a", "request_percentage", 50)
		who := &caller{principal: "User:a", clientID: "c"}
		held := &throttle{quotas: s.broker.quotas}
		work := func(took, idle time.Duration) time.Duration {
			return held.worked(held.limits(who), &request{arrived: time.Now().Add(-took), idle: idle})
		}
		if wait := work(time.Hour, time.Hour-4*time.Second); wait != 0 {
			t.Errorf("40 %%: %v", wait)
		}
		if wait := work(1010*time.Millisecond, 0); wait != 20*time.Millisecond {
			t.Errorf("50.1 %%: %v", wait)
		}
		if wait := work(10*time.Second, 0); wait != time.Second {
			t.Errorf("150 %%: %v", wait)
		}
	})
}

// A connection that is held back ends at once when its client leaves or the agent stops, also if
// requests wait on it; and like one that is idle if it is held back for too long.
func TestHeldBackConnectionsEnd(t *testing.T) {
	withSecured(t, func(s *secured) {
		for _, pending := range []int{0, 100, 20_000} {
			for _, x := range []struct {
				name string
				end  func(cancel func(), client net.Conn)
				most time.Duration
			}{
				{"left", func(_ func(), client net.Conn) { client.Close() }, 0},
				{"stopped", func(cancel func(), _ net.Conn) { cancel() }, 0},
				{"idle", func(func(), net.Conn) {}, 10 * time.Minute},
			} {
				if x.name == "left" && pending > 16<<10 {
					continue // seen when it goes on
				}
				ctx, cancel := context.WithCancel(s.ctx)
				here, there := net.Pipe()
				c := newConn(s.broker, there, &caller{principal: "User:a", host: "h", addr: "h:1", listener: "PLAINTEXT", reached: there.LocalAddr()}, &Listener{})
				c.throttle.hold(time.Hour)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					c.run(ctx)
				}()
				go here.Write(make([]byte, pending))
				synctest.Wait()
				began := time.Now()
				x.end(cancel, here)
				<-ended
				if took := time.Since(began); took != x.most {
					t.Errorf("%s with %d bytes waiting: %v", x.name, pending, took)
				}
				cancel()
				here.Close()
			}
		}
	})
}

// TLS goes on after a wait.
func TestThrottledOverTLS(t *testing.T) {
	l := &Listener{TLS: selfSigned(t)}
	withBouncer(t, nil, func(x *bouncer) {
		if err := x.editor.AlterQuotas(x.Context(), quota.Entity{User: quota.Default()}, map[quota.Key]float64{quota.RequestPercentage: 1}); err != nil {
			t.Fatal(err)
		}
		c := x.serve(l).over(anyServer)
		defer c.Close()
		for range 5 {
			m := quota.NewClient(x.quotas.meters)
			m.Is(x.quotas.all.Set(), "ANONYMOUS", "")
			m.Record(quota.RequestPercentage, 1000, time.Now())
			m.Is(x.quotas.all.Set(), "ANONYMOUS", "test")
			m.Record(quota.RequestPercentage, 1000, time.Now())
			began := time.Now()
			for range 2 {
				resp, ok := c.ask(kmsg.NewPtrDescribeClusterRequest(), 0).(*kmsg.DescribeClusterResponse)
				if !ok || resp.ThrottleMillis != 1000 {
					t.Fatalf("%+v", resp)
				}
			}
			if took := time.Since(began); took < time.Second || took > 2*time.Second {
				t.Errorf("two answers in %v", took)
			}
		}
	})
}

// An address that connects too often is kept waiting and closed; others aren't, and it may come
// again.
func TestConnectionRate(t *testing.T) {
	withSecured(t, func(s *secured) {
		s.setQuota("ip=10.0.0.1", "connection_creation_rate", 2)
		ctx, cancel := context.WithCancel(s.ctx)
		connect := func(from string) (served bool, took time.Duration) {
			here, there := net.Pipe()
			defer here.Close()
			began := time.Now()
			s.broker.accept(ctx, &Listener{Name: "L"}, pipeEnd{there, from})
			frame := kmsg.NewRequestFormatter().AppendRequest(nil, &kmsg.ApiVersionsRequest{}, 1)
			here.SetDeadline(time.Now().Add(time.Minute))
			go here.Write(frame)
			_, err := io.ReadFull(here, make([]byte, 4))
			return err == nil, time.Since(began)
		}
		served := 0
		for range 25 {
			if ok, took := connect("10.0.0.1"); ok {
				served++
			} else if took <= 0 || took > time.Second {
				t.Errorf("closed after %v", took)
			}
			if ok, _ := connect("10.0.0.2"); !ok {
				t.Error("another address was refused")
			}
		}
		if served < 20 || served == 25 {
			t.Errorf("%d connections were served", served)
		}
		time.Sleep(20 * time.Second)
		if ok, _ := connect("10.0.0.1"); !ok {
			t.Error("it may not come again")
		}
		for range 30 {
			_, there := net.Pipe()
			s.broker.accept(ctx, &Listener{Name: "L"}, pipeEnd{there, "10.0.0.1"})
		}
		began := time.Now()
		cancel()
		s.broker.Drain(s.ctx)
		if took := time.Since(began); took > 0 {
			t.Errorf("a stop took %v", took)
		}
	})
}

// An address may have another maximum than the others, and a listener one of its own. What is
// closed makes room.
func TestConnectionsAtATime(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxConnectionsPerIP, cfg.PerIPOverrides = 2, []string{"10.0.0.7:3", "::1:0"}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	small, other := &Listener{Most: 4}, &Listener{}
	cs := newConnections(cfg)
	var open []*conn
	add := func(l *Listener, ip string) bool {
		c := &conn{listener: l, caller: &caller{host: ip}, admission: &admission{}}
		ok := cs.add(c)
		if ok {
			open = append(open, c)
		}
		return ok
	}
	for i, x := range []struct {
		l  *Listener
		ip string
		ok bool
	}{{other, "10.0.0.1", true}, {other, "10.0.0.1", true}, {other, "10.0.0.1", false}, {small, "10.0.0.7", true}, {small, "10.0.0.7", true}, {small, "10.0.0.7", true},
		{other, "10.0.0.7", false}, {other, "::1", false}, {small, "10.0.0.2", true}, {small, "10.0.0.2", false}, {other, "10.0.0.2", true}} {
		if add(x.l, x.ip) != x.ok {
			t.Errorf("%d: connection from %s", i, x.ip)
		}
	}
	for _, c := range open {
		cs.remove(c)
	}
	if len(cs.mu.by) != 0 || len(cs.mu.byIP) != 0 || !add(small, "10.0.0.2") {
		t.Errorf("left: %v, %v", cs.mu.by, cs.mu.byIP)
	}
	for _, bad := range []string{"", "10.0.0.7", "host:5", "10.0.0.7:x", "10.0.0.7:-1"} {
		cfg.PerIPOverrides = []string{bad}
		if cfg.Validate() == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// The number of quotas with metrics of their own is bounded.
func TestQuotaMetricsAreBounded(t *testing.T) {
	m := newQuotaMetrics(nil, quota.NewMeters(1, time.Now()))
	for i := range 2 * shownQuotas {
		m.throttled(quota.Rule{Key: quota.ProducerByteRate, Entity: quota.Entity{User: quota.Named(string(rune('a' + i)))}}, time.Second)
	}
	m.throttled(quota.Rule{Key: quota.ProducerByteRate, Entity: quota.Entity{User: quota.Named("a")}}, time.Second)
	if n := testutil.CollectAndCount(m.waits); n != shownQuotas+1 {
		t.Errorf("%d series", n)
	}
	if got := testutil.ToFloat64(m.seconds.WithLabelValues("producer_byte_rate", "a", "", "")); got != 2 {
		t.Errorf("%v seconds", got)
	}
}

// A quota for a name that is no text has a series, too: it must not end the process.
func TestQuotaMetricsOfAnyName(t *testing.T) {
	m := newQuotaMetrics(nil, quota.NewMeters(1, time.Now()))
	m.throttled(quota.Rule{Key: quota.ProducerByteRate, Entity: quota.Entity{User: quota.Named("a\xff")}}, time.Second)
	if got := testutil.ToFloat64(m.seconds.WithLabelValues("producer_byte_rate", "a?", "", "")); got != 1 {
		t.Errorf("%v seconds", got)
	}
}
