package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
)

// world is what survives an agent: a disk, an etcd and a bucket.
type world struct {
	t      *testing.T
	fs     vfs.FS
	meta   *metadata.Memory
	bucket s3store.Store
	change func(*Config)
	random io.Reader // nil: the system's
	host   *Host     // nil: memory is not looked after
	meddle *meddled  // nil: agents that start have etcd for themselves
}

func newWorld(t *testing.T) *world {
	return &world{t: t, fs: vfs.NewMemory(), meta: metadata.NewMemory(), bucket: s3store.NewMemory()}
}

// running is an agent that runs.
type running struct {
	*Agent
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
	addr   string
}

func (w *world) config() Config {
	cfg := DefaultConfig()
	cfg.DataDir, cfg.HTTP = "data", "127.0.0.1:0"
	cfg.Listeners[0].Bind = "127.0.0.1:0"
	j := &cfg.Journal
	j.FileBytes, j.ChunkBytes, j.CacheBytes, j.ReadBytes = 1<<20, 256<<10, 1<<20, 8<<20
	j.KeepBytes, j.SoftBytes, j.HardBytes, j.ReserveBytes = 0, 8<<20, 16<<20, 0
	cfg.Replication.Factor, cfg.Replication.Quorum, cfg.Peer.Bind = 1, 1, ""
	cfg.Upload.MaxAge = time.Hour // only when asked, or by size
	cfg.ShutdownTimeout = 10 * time.Second
	cfg.Groups.Members.InitialRebalanceDelay = 0
	if w.change != nil {
		w.change(&cfg)
	}
	return cfg
}

func (w *world) start() *running {
	w.t.Helper()
	var meta metadata.Store = w.meta.Open()
	if w.meddle != nil {
		meta = w.meddle.with(meta)
	}
	log := slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := New(w.config(), Deps{FS: w.fs, Meta: meta, Objects: w.bucket, Log: log, Registry: prometheus.NewRegistry(), Listen: net.Listen, Dial: dial, Random: w.random, Host: w.host, Version: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Agent: a, t: w.t, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		r.ended <- a.Run(ctx)
		meta.Close()
	}()
	select {
	case <-a.Started():
	case err := <-r.ended:
		w.t.Fatalf("agent did not start: %v", err)
	}
	r.addr = a.Addresses()["PLAINTEXT"]
	w.t.Cleanup(func() { _ = r.stop() })
	return r
}

// stop stops the agent as SIGTERM does; a second call does nothing.
func (r *running) stop() error {
	r.cancel()
	err, ok := <-r.ended
	if ok {
		close(r.ended)
	}
	return err
}

func (r *running) client(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(r.addr), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	return cl
}

func (r *running) produce(topic string, from, to int) {
	r.t.Helper()
	cl := r.client(kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	defer cl.Close()
	var batch []*kgo.Record
	for i := from; i < to; i++ {
		batch = append(batch, &kgo.Record{Value: []byte(fmt.Sprint("record ", i))})
	}
	if err := cl.ProduceSync(r.t.Context(), batch...).FirstErr(); err != nil {
		r.t.Fatalf("produce: %v", err)
	}
}

// consume reads n records from the start and checks that they are those produced.
func (r *running) consume(topic string, n int) {
	r.t.Helper()
	cl := r.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
	defer cl.Close()
	seen := map[string]bool{}
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	for len(seen) < n {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			r.t.Fatalf("consume: %v after %d of %d", err, len(seen), n)
		}
		fs.EachRecord(func(k *kgo.Record) { seen[string(k.Value)] = true })
	}
	for i := range n {
		if !seen[fmt.Sprint("record ", i)] {
			r.t.Fatalf("record %d is missing among %d", i, len(seen))
		}
	}
}

func TestRestartFindsEverything(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	a.produce("t", 0, 500)
	a.consume("t", 500)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	b := w.start()
	b.consume("t", 500)
	b.produce("t", 500, 600)
	b.consume("t", 600)
}

// TestWipedDiskAfterACleanStop: history is in the bucket, nothing is needed of the
// disk.
func TestWipedDiskAfterACleanStop(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	a.produce("t", 0, 500)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	w.fs = vfs.NewMemory()
	b := w.start()
	b.consume("t", 500)
	b.produce("t", 500, 510)
	b.consume("t", 510)
	p := b.owned.All()[0]
	if s := p.State(); s.TieredEnd != 500 || s.End != 510 {
		t.Errorf("%+v", s)
	}
}

// TestLostDiskIsNotForgotten: what was acknowledged and lay only on a disk that is
// gone is never passed over in silence.
func TestLostDiskIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.ShutdownTimeout = 0 } // nothing is uploaded at the stop
	w.bucket = s3store.WithFaults(w.bucket, func(s3store.Call) s3store.Fault { return s3store.Fault{Before: errors.New("the bucket is away")} })
	a := w.start()
	a.produce("t", 0, 100)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	w.fs = vfs.NewMemory()
	b := w.start()
	if n := b.owned.Len(); n != 0 {
		t.Fatalf("%d partitions are served although their records are gone", n)
	}
	if why := b.NotReady(); !strings.Contains(strings.Join(why, "\n"), "can't be served yet; t/0: its newest records may lie in journal 1-1") {
		t.Errorf("not ready: %v", why)
	}
	for j, rec := range b.view.Journals() {
		if j.Writer != b.inc && rec.End > 0 {
			if loss, err := b.election.control.AcceptLoss(t.Context(), j); err != nil || !loss.Gone {
				t.Fatalf("%+v, %v", loss, err)
			}
		}
	}
	for b.owned.Len() != 1 {
		select {
		case <-b.view.Changed():
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("not served after the loss was accepted")
		}
	}
}

func TestBucketAwayThrottlesThenRefuses(t *testing.T) {
	w := newWorld(t)
	var down = make(chan struct{}) // closed when the bucket is back
	w.bucket = s3store.WithFaults(w.bucket, func(s3store.Call) s3store.Fault {
		select {
		case <-down:
			return s3store.Fault{}
		default:
			return s3store.Fault{Before: errors.New("the bucket is away")}
		}
	})
	w.change = func(c *Config) {
		c.Upload.MaxAge, c.Upload.RetryMax, c.Upload.RetryBase = 100*time.Millisecond, 200*time.Millisecond, 50*time.Millisecond
		c.Kafka.MaxThrottle = 5 * time.Millisecond
	}
	a := w.start()
	cl := a.client(kgo.DefaultProduceTopic("t"), kgo.AllowAutoTopicCreation(), kgo.RecordRetries(2), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableIdempotentWrite())
	value := make([]byte, 100<<10)
	n, refused := 0, error(nil)
	for refused == nil && n < 1000 {
		if refused = cl.ProduceSync(t.Context(), &kgo.Record{Value: value}).FirstErr(); refused == nil {
			n++
		}
	}
	if refused == nil {
		t.Fatal("the journal took 100 MB, 16 are allowed")
	}
	if why := a.NotReady(); len(why) == 0 {
		t.Error("a full journal counts as ready")
	}
	close(down)
	deadline := time.After(patience)
	for {
		err := cl.ProduceSync(t.Context(), &kgo.Record{Value: value}).FirstErr()
		if err == nil {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("still refused: %v", err)
		default:
		}
	}
	offsets, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := offsets.Lookup("t", 0); o.Offset < int64(n) {
		t.Errorf("the log ends at %d, %d were acknowledged", o.Offset, n)
	}
}

func TestMetadataAwayChangesNothingForClients(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	a.produce("t", 0, 50)
	w.meta.SetAvailable(false)
	a.produce("t", 50, 100)
	a.consume("t", 100)
	w.meta.SetAvailable(true)
	a.produce("t", 100, 150)
	a.consume("t", 150)
}

// TestDeletedTopicComesBackWhole: also what was not uploaded when it was deleted.
func TestDeletedTopicComesBackWhole(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	a.produce("t", 0, 300)
	adm := kadm.NewClient(a.client())
	if _, err := adm.DeleteTopics(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if n := len(a.view.Deleted()); n != 1 {
		t.Errorf("%d topics are known as deleted after the answer", n)
	}
	for a.owned.Len() > 0 {
		changed := a.view.Changed()
		if a.owned.Len() > 0 {
			<-changed
		}
	}
	if got := a.console.Load().Cluster().Agents[0].Partitions; got != 0 {
		t.Errorf("status counts %d partitions of a deleted topic", got)
	}
	post := func(topic string) int {
		resp, err := http.Post("http://"+a.HTTPAddress()+"/v1/topics/"+topic+"/undelete", "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := post("never"); got != 404 {
		t.Errorf("a topic that never was: %d", got)
	}
	if got := post("t"); got != 200 {
		t.Fatalf("undelete: %d", got)
	}
	if got := post("t"); got != 409 {
		t.Errorf("a second time: %d", got)
	}
	a.consume("t", 300)
	a.produce("t", 300, 310)
	a.consume("t", 310)
}

// TestTopicComesBackWhileItIsUploaded: a topic that is brought back before all of it was
// uploaded loses nothing of what is produced to it then.
func TestTopicComesBackWhileItIsUploaded(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	away := true
	w.bucket = s3store.WithFaults(w.bucket, func(s3store.Call) s3store.Fault {
		mu.Lock()
		defer mu.Unlock()
		if away {
			return s3store.Fault{Before: errors.New("the bucket is away")}
		}
		return s3store.Fault{}
	})
	w.change = func(c *Config) { c.Upload.RetryBase, c.Upload.RetryMax = 10*time.Millisecond, 20*time.Millisecond }
	a := w.start()
	a.produce("t", 0, 100)
	if _, err := kadm.NewClient(a.client()).DeleteTopics(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	p := a.owned.All()[0]
	a.until("the partition is retiring", func() bool { return a.owned.Retiring(p.ID()) })
	if err := a.console.Load().Undelete(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	a.produce("t", 100, 200)
	mu.Lock()
	away = false
	mu.Unlock()
	a.until("it was uploaded", func() bool { return p.State().TieredEnd >= 100 })
	a.until("it is served", func() bool { q := a.owned.Get(p.ID()); return q != nil && !a.owned.Retiring(q.ID()) })
	a.consume("t", 200)
	a.produce("t", 200, 210)
	a.consume("t", 210)
}

// TestDeletedTopicSurvivesAStop: what was not uploaded when the topic was deleted
// and the agent stopped is uploaded by the next one.
func TestDeletedTopicSurvivesAStop(t *testing.T) {
	w := newWorld(t)
	away := true
	w.change = func(c *Config) { c.ShutdownTimeout = 0 }
	w.bucket = s3store.WithFaults(w.bucket, func(s3store.Call) s3store.Fault {
		if away {
			return s3store.Fault{Before: errors.New("the bucket is away")}
		}
		return s3store.Fault{}
	})
	a := w.start()
	a.produce("t", 0, 200)
	if _, err := kadm.NewClient(a.client()).DeleteTopics(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	away = false
	b := w.start()
	for b.owned.Len() > 0 {
		changed := b.view.Changed()
		if b.owned.Len() > 0 {
			<-changed
		}
	}
	if err := b.console.Load().Undelete(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	b.consume("t", 200)
}

// TestPurgedTopicStaysAway: its heads may be gone in part.
func TestPurgedTopicStaysAway(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	a.produce("t", 0, 10)
	if _, err := kadm.NewClient(a.client()).DeleteTopics(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	kvs, _, err := a.deps.Meta.List(t.Context(), schema.PrefixDeleted)
	if err != nil || len(kvs) != 1 {
		t.Fatalf("%d deleted topics, %v", len(kvs), err)
	}
	d, err := schema.DecodeDeletedTopic(kvs[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	d.Purged = true
	if _, err := a.deps.Meta.Txn(t.Context(), nil, metadata.Put(kvs[0].Key, d.Encode())); err != nil {
		t.Fatal(err)
	}
	if err := a.console.Load().Undelete(t.Context(), "t"); !errors.Is(err, cluster.ErrUnknownTopic) {
		t.Errorf("undelete: %v", err)
	}
}

func TestTopicsAreChecked(t *testing.T) {
	a := newWorld(t).start()
	adm := kadm.NewClient(a.client())
	for name, want := range map[string]error{"": kerr.InvalidTopicException, ".": kerr.InvalidTopicException, "a b": kerr.InvalidTopicException,
		"a/b": kerr.InvalidTopicException, strings.Repeat("x", 250): kerr.InvalidTopicException} {
		if r, err := adm.CreateTopic(t.Context(), 1, 1, nil, name); !errors.Is(err, want) {
			t.Errorf("topic %q: %v, %v", name, r.ErrMessage, err)
		}
	}
	for partitions, want := range map[int32]error{0: kerr.InvalidPartitions, -5: kerr.InvalidPartitions, 10_001: kerr.PolicyViolation, 1 << 30: kerr.PolicyViolation} {
		if _, err := adm.CreateTopic(t.Context(), partitions, 1, nil, "p"); !errors.Is(err, want) {
			t.Errorf("%d partitions: %v", partitions, err)
		}
	}
	bad := "soon"
	if _, err := adm.CreateTopic(t.Context(), 1, 1, map[string]*string{"retention.ms": &bad}, "c"); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("a bad setting: %v", err)
	}
	if _, err := adm.CreateTopic(t.Context(), 1, 1, map[string]*string{"retention.sm": &bad}, "c"); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("an unknown setting: %v", err)
	}
	if _, err := adm.CreateTopic(t.Context(), 1, 3, nil, "r"); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("three replicas on one broker: %v", err)
	}
	for _, name := range []string{"__consumer_offsets", "__transaction_state", "__cluster_metadata"} {
		if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, name); !errors.Is(err, kerr.InvalidRequest) {
			t.Errorf("topic %q, which Kafka keeps for itself: %v", name, err)
		}
		cl := a.client(kgo.DefaultProduceTopic(name), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); !errors.Is(err, kerr.InvalidTopicException) {
			t.Errorf("produce to %q: %v", name, err)
		}
		cl.Close()
	}
	twice := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "twice", -1, -1
	rt.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: []int32{1, 1}}}
	twice.Topics = append(twice.Topics, rt)
	if resp, err := twice.RequestWith(t.Context(), a.client()); err != nil || resp.Topics[0].ErrorCode != kerr.InvalidReplicaAssignment.Code {
		t.Errorf("a broker that is named twice: %+v, %v", resp, err)
	}
	if r, err := adm.ValidateCreateTopics(t.Context(), 1, 1, nil, "v"); err != nil || r["v"].Err != nil || r["v"].ID == (kadm.TopicID{}) {
		t.Errorf("only validated: %+v, %v", r, err)
	}
	if all, err := adm.ListTopics(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d topics were made, %v", len(all), err)
	}
}

// TestSettingsAreDescribed: an empty list of names asks for all of them, and values are
// stored without the blanks around them.
func TestSettingsAreDescribed(t *testing.T) {
	a := newWorld(t).start()
	blank := " 5000 "
	cl := a.client()
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, map[string]*string{"retention.ms": &blank}, "t"); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{nil, {}, {"retention.ms"}} {
		req := kmsg.NewPtrDescribeConfigsRequest()
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName, rr.ConfigNames = kmsg.ConfigResourceTypeTopic, "t", names
		req.Resources = append(req.Resources, rr)
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil {
			t.Fatal(err)
		}
		got := resp.Resources[0].Configs
		if want := max(len(names), 1); len(got) < want || len(names) == 0 && len(got) < 20 {
			t.Errorf("names %v: %d settings", names, len(got))
		}
		for _, c := range got {
			if c.Name == "retention.ms" && *c.Value != "5000" {
				t.Errorf("retention.ms is %q", *c.Value)
			}
		}
	}
}

func TestHTTPTellsTheState(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	a.produce("t", 0, 10)
	for path, want := range map[string]string{"/readyz": "ready", "/healthz": "ok", "/v1/status": `"partitions": 1`, "/metrics": "varve_journal_entries_total"} {
		resp, err := http.Get("http://" + a.HTTPAddress() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, %v, %.200s", path, resp.StatusCode, err, body)
		}
	}
}

func dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}
