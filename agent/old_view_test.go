package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// lagging is a metadata store whose changes of heads arrive one at a time, when they
// are let through, from the moment on that other owns one.
type lagging struct {
	metadata.Store
	next chan struct{} // one change may pass
}

const other = id.Incarnation(1000)

func (l *lagging) Watch(ctx context.Context, prefix string) <-chan metadata.Batch {
	in := l.Store.Watch(ctx, prefix)
	if prefix != schema.PrefixOwners {
		return in
	}
	out := make(chan metadata.Batch)
	go func() {
		defer close(out)
		late := false
		for b := range in {
			for _, part := range apart(b) {
				if late = late || isOthers(part); late && !l.pass(ctx) {
					return
				}
				select {
				case out <- part:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// apart gives each change a batch of its own.
func apart(b metadata.Batch) (parts []metadata.Batch) {
	if b.Reset {
		return []metadata.Batch{b}
	}
	for _, e := range b.Events {
		parts = append(parts, metadata.Batch{Rev: e.KV.Mod, Events: []metadata.Event{e}})
	}
	return parts
}

// isOthers reports whether a change makes other the owner.
func isOthers(b metadata.Batch) bool {
	if len(b.Events) == 0 {
		return false
	}
	o, err := schema.DecodeOwnership(b.Events[0].KV.Value)
	return err == nil && o.Owner == other
}

func (l *lagging) pass(ctx context.Context) bool {
	select {
	case <-l.next:
		return true
	case <-ctx.Done():
		return false
	}
}

// TestOldViewTakesNothing: a partition was moved away and came back, and is served
// from its newest head, while the picture of the cluster still shows how it went
// away. That must not end it: what it took since would be nowhere.
func TestOldViewTakesNothing(t *testing.T) {
	w := newWorld(t)
	meta := &lagging{Store: w.meta.Open(), next: make(chan struct{})}
	agent, err := New(w.config(), Deps{FS: w.fs, Meta: meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Dial: dial, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &running{Agent: agent, t: t, cancel: cancel, ended: make(chan error, 1)}
	go func() { a.ended <- agent.Run(ctx) }()
	<-agent.Started()
	a.addr = agent.Addresses()["PLAINTEXT"]
	t.Cleanup(func() { _ = a.stop(); _ = meta.Store.Close() })

	cl := a.client(kgo.DefaultProduceTopic("t"), kgo.AllowAutoTopicCreation())
	put := func(value string) int64 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r := kgo.StringRecord(value)
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		return r.Offset
	}
	put("record 0")
	p := a.owned.All()[0]
	p.Pause()
	if err := errors.Join(p.Quiet(t.Context()), a.tier.upload.Flush(t.Context(), p.ID())); err != nil {
		t.Fatal(err)
	}
	if err := p.HandOver(t.Context(), other, 77); err != nil {
		t.Fatal(err)
	}
	stored, err := schema.GetHead(t.Context(), meta, p.ID())
	if err != nil || stored.Head.Owner != other {
		t.Fatal(stored.Head, err)
	}
	h := *stored.Head
	h.Give(a.inc, a.self)
	h.Settle(func(id.Epoch) int64 { return h.TieredEnd })
	if _, err := meta.Txn(t.Context(), stored.Guards(), stored.Ops(&h)...); err != nil {
		t.Fatal(err)
	}
	a.owned.Remove(p.ID())
	a.view.Touch()
	a.until("it is served again", func() bool { return a.owned.Get(p.ID()) != nil })
	n := 1
	more := func() {
		for range 20 {
			if at := put(fmt.Sprint("record ", n)); at != int64(n) {
				t.Fatalf("record %d is at offset %d", n, at)
			}
			n++
		}
	}
	more()
	meta.next <- struct{}{} // how it went away
	a.until("the picture shows the past", func() bool { return a.view.Owners()[p.ID()].Incarnation == other })
	more()
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		for {
			select {
			case meta.next <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	a.until("the picture is true again", func() bool { return a.view.Owners()[p.ID()].Incarnation == a.inc })
	more()
	a.consume("t", n)
	cancel()
	<-passed
}
