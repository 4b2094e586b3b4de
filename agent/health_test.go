package agent

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/health"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
)

// TestReadyMeansServing: an agent that starts again is not ready before it serves every
// partition that it had.
func TestReadyMeansServing(t *testing.T) {
	const partitions = 40
	w := newWorld(t)
	a := w.start()
	if _, err := kadm.NewClient(a.client()).CreateTopic(t.Context(), partitions, 1, nil, "many"); err != nil {
		t.Fatal(err)
	}
	a.until("served", func() bool { return a.owned.Len() == partitions })
	a.produce("many", 0, 50)
	topic, _ := a.view.Topic("many")
	a.crash()
	opens := make(chan struct{}) // closed: heads can be read
	w.meddle = &meddled{
		read: func(key string) error {
			if strings.HasPrefix(key, schema.TopicHeads(topic.ID)) {
				<-opens
			}
			return nil
		},
	}
	b := w.start()
	if why := b.NotReady(); len(why) == 0 {
		t.Error("ready while its partitions are being opened")
	}
	close(opens)
	for len(b.NotReady()) > 0 {
		select {
		case <-b.view.Changed():
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(b.NotReady())
		}
	}
	if n := b.owned.Len(); n != partitions {
		t.Errorf("ready with %d of %d partitions", n, partitions)
	}
}

// crash ends the agent as a failure does: nothing is uploaded, sealed or handed over.
func (r *running) crash() {
	r.t.Helper()
	r.die(errors.New("this test wants it"))
	if _, ok := <-r.ended; ok {
		close(r.ended)
	}
}

// metrics reads the agent's page.
func (r *running) metrics() string {
	r.t.Helper()
	resp, err := http.Get("http://" + r.HTTPAddress() + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// TestSeriesOfTopicsAndGroups: what clients write and read is counted by topic, and how far a
// group is behind is told as it is at that moment, whether or not anybody consumes.
func TestSeriesOfTopicsAndGroups(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.Metrics.MaxTopics = 1 }
	a := w.start()
	a.produce("t", 0, 30)
	cl := a.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for n := 0; n < 30; {
		n += cl.PollFetches(t.Context()).NumRecords()
	}
	adm := kadm.NewClient(cl)
	var offsets kadm.Offsets
	offsets.AddOffset("t", 0, 12, -1)
	if err := adm.CommitAllOffsets(t.Context(), "g", offsets); err != nil {
		t.Fatal(err)
	}
	a.produce("u", 0, 5)
	for _, want := range []string{`varve_topic_records_in_total{topic="t"} 30`, `varve_topic_records_out_total{topic="t"} 30`, `varve_group_lag_records{group="g",topic="t"} 18`,
		`varve_topic_records_in_total{topic="(other)"} 5`, `varve_build_info{goversion="`, "varve_partitions_leaderless 0", "varve_partitions_led 2", "varve_ready 1", "varve_disk_free_bytes 1.0", "varve_agents_expected 1",
		`kafka_consumergroup_lag{consumergroup="g",partition="0",topic="t"} 18`, `kafka_consumergroup_current_offset{consumergroup="g",partition="0",topic="t"} 12`, `kafka_consumergroup_members{consumergroup="g"} 0`,
		`kafka_topic_partition_current_offset{partition="0",topic="u"} 5`, `kafka_topic_partition_oldest_offset{partition="0",topic="t"} 0`, `kafka_topic_partitions{topic="t"} 1`, "kafka_brokers 1"} {
		if page := a.metrics(); !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, lines(page, "varve_topic", "varve_group_lag", "varve_part", "varve_build", "varve_disk", "kafka_"))
		}
	}
	if page := a.metrics(); strings.Contains(lines(page, "varve_topic"), `topic="u"`) || strings.Contains(page, `varve_topic_bytes_in_total{topic="t"} 0`) {
		t.Errorf("%s", lines(page, "varve_topic"))
	}
}

func lines(page string, prefixes ...string) (out string) {
	for line := range strings.Lines(page) {
		for _, p := range prefixes {
			if strings.HasPrefix(line, p) {
				out += line
			}
		}
	}
	return out
}

// TestStoreThatIsGone: a member whose agent is back with another store is known as gone, and
// the ensemble changes without waiting; its broker stays a replica, offline, meanwhile.
func TestStoreThatIsGone(t *testing.T) {
	w := newWorld(t)
	member := func(broker int32) *running {
		other := *w
		other.fs = vfs.NewMemory()
		other.change = func(c *Config) {
			c.BrokerID, c.Replication.Factor, c.Replication.Quorum, c.Peer.Bind = broker, 2, 2, "127.0.0.1:0"
		}
		return other.start()
	}
	first := make(chan *running)
	go func() { // it waits for the other
		defer close(first)
		first <- member(1)
	}()
	two := member(2)
	one := <-first
	if one == nil {
		t.FailNow() // it said why
	}
	was := two.store.ID()
	one.until("two members", func() bool { return len(one.view.Journals()[one.own.ID()].Ensemble) == 2 })
	if one.view.Moved(was) {
		t.Fatal("a store that is there counts as gone")
	}
	configs, err := kadm.NewClient(one.client()).DescribeBrokerConfigs(t.Context(), 1)
	if err != nil || !slices.ContainsFunc(configs[0].Configs, func(c kadm.Config) bool {
		return c.Key == "default.replication.factor" && c.MaybeValue() == "2"
	}) {
		t.Errorf("tools aren't told that two agents keep a record: %v", err)
	}
	two.crash()
	one.until("the death", func() bool { _, live := one.view.Agent(2); return !live })
	if e := one.view.Ensemble(one.inc); fmt.Sprint(e.Replicas, e.Live, e.Offline) != "[1 2] [1] [2]" {
		t.Errorf("%+v", e)
	}
	if one.view.Moved(was) {
		t.Error("the store of an agent that is merely dead counts as gone")
	}
	began := time.Now()
	again := member(2)
	one.until("another member", func() bool {
		now := one.view.Journals()[one.own.ID()]
		return len(now.Ensemble) == 2 && now.Ensemble[1] == again.store.ID()
	})
	if took := time.Since(began); took > one.cfg.Replication.ReplaceAfter/2 {
		t.Errorf("the lost store was waited for: %v", took)
	}
	if !one.view.Moved(was) {
		t.Error("the lost store isn't known as gone")
	}
}

// TestBucketThatNeverWorked: a first start is ready when the bucket works; a later one doesn't
// need it, unless it is another bucket.
func TestBucketThatNeverWorked(t *testing.T) {
	w := newWorld(t)
	var away atomic.Bool
	away.Store(true)
	bucket := s3store.WithFaults(w.bucket, func(s3store.Call) (f s3store.Fault) {
		if away.Load() {
			f.Before = s3store.ErrDenied
		}
		return f
	})
	w.bucket = bucket
	w.change = func(c *Config) { c.ShutdownTimeout = 0 }
	a := w.start()
	if why := strings.Join(a.NotReady(), "\n"); !strings.Contains(why, "the bucket has never worked for this agent: ") {
		t.Errorf("%q", why)
	}
	h := a.console.Load().Health(t.Context())
	if !slices.ContainsFunc(h.Checks, func(c health.Check) bool { return c.Name == "bucket" && c.Level == health.Degraded }) {
		t.Errorf("%+v", h)
	}
	_ = a.stop()
	away.Store(false)
	a = w.start()
	a.until("ready", func() bool { return len(a.NotReady()) == 0 })
	_ = a.stop()
	away.Store(true)
	a = w.start()
	if why := a.NotReady(); why != nil {
		t.Errorf("with a bucket that worked before: %q", why)
	}
	_ = a.stop()
	w.change = func(c *Config) { c.ShutdownTimeout, c.Store.Driver, c.Store.Bucket = 0, s3store.DriverMinIO, "another" }
	a = w.start()
	if why := a.NotReady(); why == nil {
		t.Error("ready with a bucket that never worked")
	}
}

// TestSessionLost: an agent without a session is not ready.
func TestSessionLost(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	lost := metadata.Session(lostSession{a.reg.lease()})
	was := a.reg.session.Load()
	a.reg.session.Store(&lost)
	if why := strings.Join(a.NotReady(), ""); !strings.Contains(why, "session") {
		t.Errorf("%q", why)
	}
	a.reg.session.Store(was)
}

type lostSession struct{ metadata.Session }

func (lostSession) Lost() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
