package agent

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
)

// darkWorld is an agent in a bubble whose peers say nothing.
type darkWorld struct {
	*Agent
	t     *testing.T
	meta  metadata.Store
	disk  *vfs.Memory
	exits chan error // that were asked for
	ended chan error

	mu    sync.Mutex
	dials map[string][]time.Time // of the peers' addresses
}

// inTheDark does something while such an agent runs; want is how it ends.
func inTheDark(t *testing.T, fault func(op, name string) error, do func(d *darkWorld), want string) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, meta: metadata.NewMemory(), bucket: s3store.NewMemory()}
		d := &darkWorld{t: t, meta: w.meta.Open(), disk: vfs.NewMemory(), exits: make(chan error, 10), ended: make(chan error, 1), dials: map[string][]time.Time{}}
		d.disk.Fault = fault
		defer d.meta.Close()
		cfg := w.config()
		cfg.HTTP = ""
		network := newPipes()
		var err error
		d.Agent, err = New(cfg, Deps{FS: d.disk, Exit: func(err error) { d.exits <- err }, Meta: d.meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
			Listen: func(string, string) (net.Listener, error) { return network, nil }, Version: "test",
			Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				d.mu.Lock()
				d.dials[addr] = append(d.dials[addr], time.Now())
				d.mu.Unlock()
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		go func() { d.ended <- d.Run(ctx) }()
		do(d)
		stop()
		if err := <-d.ended; err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("it ended with %v, want %q", err, want)
		}
	})
}

func (d *darkWorld) dialled(addr string) []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.dials[addr])
}

// until waits in fake time.
func (d *darkWorld) until(what string, ok func() bool) {
	d.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			d.t.Fatalf("%s: not within a minute", what)
		}
	}
}

func (d *darkWorld) topic(name string) *cluster.Topic {
	d.t.Helper()
	topic, err := d.editor.CreateTopic(d.t.Context(), name, 1, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.until(name+" is served", func() bool { return d.owned.Get(id.Partition{Topic: topic.ID}) != nil })
	return topic
}

// darkTail makes this agent the heir of partitions whose last records lie in a journal
// that only a peer has which says nothing.
func (d *darkWorld) darkTail(writer id.Incarnation, topics ...*cluster.Topic) {
	d.t.Helper()
	store, broker := id.Store{byte(writer)}, id.Broker(writer)
	peer := schema.Agent{Incarnation: writer + 1, Store: store, Peer: addressOf(writer)}
	rec := schema.Journal{State: schema.JournalSealed, Broker: broker, Ensemble: []id.Store{store}, Quorum: 1, End: 5}
	ops := []metadata.Op{metadata.Put(schema.AgentKey(broker), peer.Encode()), metadata.Put(schema.JournalKey(id.Journal{Writer: writer, Seq: 1}), rec.Encode())}
	for _, topic := range topics {
		at := id.Partition{Topic: topic.ID}
		h := *d.owned.Get(at).Head()
		h.Chain = []schema.Link{{Writer: writer, Epoch: h.Epoch, Start: h.TieredEnd}}
		h.Give(d.inc, d.self)
		ops = append(ops, schema.StoredHead{Partition: at}.Ops(&h)...)
	}
	if _, err := d.meta.Txn(d.t.Context(), nil, ops...); err != nil {
		d.t.Fatal(err)
	}
}

func addressOf(writer id.Incarnation) string { return writer.String() + ":9645" }

// TestTailsAreAdoptedAside: while a peer that says nothing is asked for the tail of one
// partition, this agent serves what is new, and asks the peers that have the tails of
// others; and it does not ask again and again, until something changes.
func TestTailsAreAdoptedAside(t *testing.T) {
	inTheDark(t, nil, func(d *darkWorld) {
		<-d.Started()
		one, two := d.topic("one"), d.topic("two")
		const x, y = 201, 211
		d.darkTail(x, one)
		d.until("the peer is asked", func() bool { return len(d.dialled(addressOf(x))) > 0 })
		d.darkTail(y, two)
		d.topic("three")
		if why := d.unserved.All(); len(why) > 0 {
			t.Errorf("a new topic was served only when a peer had been silent for long: %v", why)
		}
		d.until("the other peer is asked", func() bool { return len(d.dialled(addressOf(y))) > 0 })
		if n := len(d.unserved.All()); n > 0 {
			t.Error("a second peer was asked only when the first had failed")
		}
		time.Sleep(time.Minute)
		if why := d.unserved.All()[id.Partition{Topic: one.ID}]; !strings.Contains(why, "accept-loss") {
			t.Errorf("it is not served: %q", why)
		}
		// Each try takes 2 s; the pauses between are 1 s, 2 s, 4 s, then 5 s. After each it
		// is asked, too, whether it lives.
		if n := len(d.dialled(addressOf(x))); n > 25 {
			t.Errorf("a peer that says nothing was asked %d times in a minute", n)
		}
		rec := schema.Journal{State: schema.JournalSealed, Broker: x, Ensemble: []id.Store{{x}}, Quorum: 1, Lost: true}
		if _, err := d.meta.Txn(t.Context(), nil, metadata.Put(schema.JournalKey(id.Journal{Writer: x, Seq: 1}), rec.Encode())); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		d.until("what is left is served", func() bool { return d.owned.Get(id.Partition{Topic: one.ID}) != nil })
		if time.Since(began) > 3*time.Second+time.Second {
			t.Errorf("a loss that was accepted was heeded after %v", time.Since(began))
		}
	}, "")
}
