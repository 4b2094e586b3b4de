package agent

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/partition"
	"varve/s3store"
	"varve/wal"
)

// appended waits for an append of bytes to a partition.
func (r *running) appended(p *partition.Partition, bytes int) {
	r.t.Helper()
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: r.millis(), Value: make([]byte, bytes)}}, func(kafka.Batch) {})
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(answer, 1)
	if err := p.Append(r.t.Context(), b, r.millis(), id.NoEpoch, done); err != nil {
		r.t.Fatal(err)
	}
	if a := <-done; a.err != nil {
		r.t.Fatal(a.err)
	}
}

// stuck makes a partition whose lock is held until the result is called: who asks it what
// it needs stands still.
func stuck(t *testing.T, at id.Partition) (*partition.Partition, func()) {
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	deps := &partition.Deps{Clock: func() int64 {
		once.Do(func() { close(entered) })
		<-release
		return 0
	}}
	p := partition.New(deps, schema.StoredHead{Partition: at, Head: &schema.Head{TieredEnd: 10}}, new(partition.Settings))
	var done sync.WaitGroup
	done.Go(func() {
		if err := p.Adopt(id.Journal{Writer: 1, Seq: 1}, &wal.Record{}, wal.First); err != nil { // the tier has it: only its producer is noted
			t.Error(err)
		}
	})
	<-entered
	free := sync.OnceFunc(func() { close(release); done.Wait() })
	t.Cleanup(free)
	return p, free
}

// standsIn waits until the goroutine that runs one function has come to another.
func standsIn(t *testing.T, inner, outer string) {
	t.Helper()
	buf := make([]byte, 4<<20)
	for t.Context().Err() == nil {
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if in := strings.Index(g, inner+"("); in >= 0 && strings.Contains(g[in:], outer+"(") {
				return
			}
		}
		runtime.Gosched()
	}
	t.Fatalf("%s is not reached", inner)
}

// TestTrimLooksAtTheTipFirst: what is committed, and where the journal is changed for the
// next, while trim asks the partitions what they need, is neither trimmed nor forgotten:
// the one that took the records may have been asked before.
func TestTrimLooksAtTheTipFirst(t *testing.T) {
	for name, meanwhile := range map[string]func(r *running, fill func()){
		"appends": func(_ *running, fill func()) { fill() },
		"an ensemble change": func(r *running, fill func()) {
			fill()
			old := r.own.ID()
			if err := r.own.ChangeMembers(r.t.Context(), old, r.view.Journals()[old], []id.Store{r.store.ID()}); err != nil {
				r.t.Fatal(err)
			}
			r.until("the former journal is seen to be sealed", func() bool { return r.view.Journals()[old].State == schema.JournalSealed })
			fill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 10 { // trim asks partitions in any order
				trimWhile(t, meanwhile)
			}
		})
	}
}

// trimWhile trims, and does something between what trim looks at before it asks
// partitions and what it looks at after.
func trimWhile(t *testing.T, meanwhile func(r *running, fill func())) {
	w := newWorld(t)
	w.change = func(c *Config) { c.ShutdownTimeout = 0 }
	w.bucket = s3store.WithFaults(w.bucket, func(s3store.Call) s3store.Fault { return s3store.Fault{Before: errors.New("the bucket is away")} })
	one := w.start()
	if _, err := kadm.NewClient(one.client()).CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	one.until("served", func() bool { return one.owned.Len() == 1 })
	p := one.owned.All()[0]
	last, free := stuck(t, id.Partition{Topic: p.ID().Topic, Index: 99})
	one.owned.Put(last)
	trimmed := make(chan struct{})
	go func() {
		one.own.Trim(t.Context())
		close(trimmed)
	}()
	standsIn(t, "(*Untiered).Needs", "(*Journal).Trim")
	meanwhile(one, func() {
		for range 24 { // more than two files
			one.appended(p, 100<<10)
		}
	})
	before := one.store.Untrimmed()
	free()
	<-trimmed
	one.owned.Remove(last.ID())
	if after := one.store.Untrimmed(); after < before {
		t.Errorf("%d of %d bytes were trimmed, and nothing is in the tier", before-after, before)
	}
	p.Needs(func(j id.Journal, _ wal.Pos) {
		if _, err := one.deps.Meta.Get(t.Context(), schema.JournalKey(j)); err != nil {
			t.Errorf("journal %v is needed: %v", j, err)
		}
	})
	if err := one.stop(); err != nil {
		t.Error(err)
	}
}
