package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/admin"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
)

// chained is a world in which three incarnations wrote 60, 40 and 20 records, one to a
// batch, and the bucket is away: all of it lies in three journals.
func chained(t *testing.T) (w *world, bucket *atomic.Bool) {
	w, bucket = newWorld(t), new(atomic.Bool)
	w.change = func(c *Config) { c.ShutdownTimeout = 0 }
	w.bucket = s3store.WithFaults(w.bucket, func(s3store.Call) s3store.Fault {
		if bucket.Load() {
			return s3store.Fault{}
		}
		return s3store.Fault{Before: errors.New("the bucket is away")}
	})
	from := 0
	for _, n := range []int{60, 40, 20} {
		one := w.start()
		one.each("t", from, from+n)
		from += n
		if err := one.stop(); err != nil {
			t.Fatal(err)
		}
	}
	return w, bucket
}

// each produces records whose values are their offsets, one to a batch.
func (r *running) each(topic string, from, to int) {
	r.t.Helper()
	cl := r.client(kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation())
	defer cl.Close()
	for i := from; i < to; i++ {
		res := cl.ProduceSync(r.t.Context(), kgo.StringRecord(fmt.Sprint(i)))
		if err := res.FirstErr(); err != nil || res[0].Record.Offset != int64(i) {
			r.t.Fatalf("record %d got offset %d, %v", i, res[0].Record.Offset, err)
		}
	}
}

// lose removes what the disk has of a journal.
func (w *world) lose(j id.Journal) {
	w.t.Helper()
	const dir = "data/journal"
	names, err := w.fs.List(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, name := range names {
		if strings.HasPrefix(name, j.String()+".") {
			if err := w.fs.Remove(dir + "/" + name); err != nil {
				w.t.Fatal(err)
			}
			n++
		}
	}
	if n == 0 {
		w.t.Fatalf("the disk has nothing of journal %v: %v", j, names)
	}
}

// finds reads a topic from an offset on and wants the records with these offsets.
func (r *running) finds(topic string, from int64, ranges ...[2]int64) {
	r.t.Helper()
	cl := r.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(from)}}), kgo.FetchMaxWait(100*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	var got []*kgo.Record
	var want []int64
	for _, x := range ranges {
		for o := max(from, x[0]); o < x[1]; o++ {
			want = append(want, o)
		}
	}
	for len(got) < len(want) {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			r.t.Fatalf("from %d: %v after %d of %d records", from, err, len(got), len(want))
		}
		got = append(got, fs.Records()...)
	}
	for i, k := range got {
		if i >= len(want) || k.Offset != want[i] || string(k.Value) != fmt.Sprint(k.Offset) {
			r.t.Fatalf("from %d: record %d is %q at offset %d", from, i, k.Value, k.Offset)
		}
	}
}

// TestLossInTheMiddle: the journal in the middle of a partition's chain is gone. The
// partition waits until the loss is accepted; then what lies before and behind is read,
// offsets go on where they were, and the tier gets all of it.
func TestLossInTheMiddle(t *testing.T) {
	w, bucket := chained(t)
	w.lose(id.Journal{Writer: 2, Seq: 1})
	one := w.start()
	if n := one.owned.Len(); n != 0 {
		t.Fatalf("%d partitions are served although records in their middle are gone", n)
	}
	loss, err := one.election.control.AcceptLoss(t.Context(), id.Journal{Writer: 2, Seq: 1})
	if err != nil || !loss.Gone {
		t.Fatalf("%+v, %v", loss, err)
	}
	one.until("served", func() bool { return one.owned.Len() == 1 })
	for _, from := range []int64{0, 30, 60, 80, 99, 100} {
		one.finds("t", from, [2]int64{0, 60}, [2]int64{100, 120})
	}
	one.each("t", 120, 130)
	var s admin.ClusterStatus
	one.console.Load().journalStatuses(&s)
	if n := slices.IndexFunc(s.Journals, func(j admin.JournalStatus) bool { return j.Journal == "2-1" }); n < 0 || !s.Journals[n].Lost {
		t.Errorf("the status doesn't tell of the loss: %+v", s.Journals)
	}
	p := one.owned.All()[0]
	epochs := []int64{}
	for _, e := range p.Head().Epochs {
		epochs = append(epochs, e.Start)
	}
	if fmt.Sprint(epochs) != "[0 60 100 120]" {
		t.Errorf("epochs begin at %v", epochs)
	}
	bucket.Store(true)
	if err := one.tier.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := one.stop(); err != nil {
		t.Fatal(err)
	}
	w.fs = vfs.NewMemory() // all of it is read from the bucket
	two := w.start()
	for _, from := range []int64{0, 60, 75, 110} {
		two.finds("t", from, [2]int64{0, 60}, [2]int64{100, 130})
	}
	two.each("t", 130, 140)
	h := two.owned.All()[0].Head()
	for i, s := range h.Slices {
		if s.Base >= s.End || i > 0 && h.Slices[i-1].End != s.Base {
			t.Errorf("slices %+v", h.Slices)
		}
	}
	ends, err := kadm.NewClient(two.client()).ListEndOffsets(t.Context(), "t")
	if o, _ := ends.Lookup("t", 0); err != nil || o.Offset != 140 {
		t.Errorf("the log ends at %d, %v", o.Offset, err)
	}
}

// TestLossBeforeAnEmptyEnd: nothing that is left lies after what was lost, but a later
// owner stored where it began: the offsets before are not given again.
func TestLossBeforeAnEmptyEnd(t *testing.T) {
	w, _ := chained(t)
	w.lose(id.Journal{Writer: 2, Seq: 1})
	w.lose(id.Journal{Writer: 3, Seq: 1})
	one := w.start()
	for _, i := range []id.Incarnation{2, 3} {
		if loss, err := one.election.control.AcceptLoss(t.Context(), id.Journal{Writer: i, Seq: 1}); err != nil || !loss.Gone {
			t.Fatalf("%+v, %v", loss, err)
		}
	}
	one.until("served", func() bool { return one.owned.Len() == 1 })
	one.each("t", 100, 110)
	one.finds("t", 0, [2]int64{0, 60}, [2]int64{100, 110})
}

// TestHoleWithoutALoss: what nobody gave up is not passed over.
func TestHoleWithoutALoss(t *testing.T) {
	w, _ := chained(t)
	meta := w.meta.Open()
	defer meta.Close()
	key := schema.JournalKey(id.Journal{Writer: 2, Seq: 1})
	kv, err := meta.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := schema.DecodeJournal(kv.Value)
	if err != nil {
		t.Fatal(err)
	}
	rec.End-- // a bug
	if _, err := meta.Txn(t.Context(), nil, metadata.Put(key, rec.Encode())); err != nil {
		t.Fatal(err)
	}
	one := w.start()
	if n := one.owned.Len(); n != 0 {
		t.Errorf("%d partitions are served", n)
	}
	for _, why := range one.unserved.All() {
		if !strings.Contains(why, "continues at offset 100") {
			t.Errorf("unserved: %s", why)
		}
	}
}

// TestLossUnderAnOwner: who serves records of a journal of which a loss is accepted
// begins again, and then serves what is left.
func TestLossUnderAnOwner(t *testing.T) {
	w, _ := chained(t)
	one := w.start()
	one.finds("t", 0, [2]int64{0, 120})
	key := schema.JournalKey(id.Journal{Writer: 2, Seq: 1})
	kv, err := one.deps.Meta.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := schema.DecodeJournal(kv.Value)
	if err != nil {
		t.Fatal(err)
	}
	rec.End, rec.Lost = 0, true // as accept-loss writes it when no store has it any more
	if _, err := one.deps.Meta.Txn(t.Context(), nil, metadata.Put(key, rec.Encode())); err != nil {
		t.Fatal(err)
	}
	if err := <-one.ended; !IsReplaced(err) {
		t.Fatalf("it ended with %v", err)
	}
	close(one.ended)
	two := w.start()
	two.until("served", func() bool { return two.owned.Len() == 1 })
	two.finds("t", 0, [2]int64{0, 60}, [2]int64{100, 120})
	two.each("t", 120, 130)
}
