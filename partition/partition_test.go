package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/wal"
)

// bench is a partition on a real journal, over a file system in memory.
type bench struct {
	Tier  // answers nothing but Producers
	t     testing.TB
	fs    *vfs.Memory
	store *wal.Store
	w     *wal.Writer
	meta  metadata.Store
	heads *metadata.Writer
	deps  *Deps
	now   int64
	inc   id.Incarnation
	known []object.Producer // what the tier remembers
	down  bool              // the tier is away
}

var (
	discard = slog.New(slog.DiscardHandler)
	part    = id.Partition{Topic: id.Topic{1}, Index: 3}
)

func newBench(t testing.TB) *bench {
	b := &bench{t: t, fs: vfs.NewMemory(), now: 1_790_000_000_000, meta: metadata.NewMemory().Open()}
	b.heads = metadata.NewWriter(b.meta, metadata.DefaultWriterConfig(), discard, nil)
	b.open()
	t.Cleanup(func() {
		b.close()
		_ = b.heads.Close(context.Background())
		_ = b.meta.Close()
	})
	return b
}

func (b *bench) open() {
	cfg := wal.DefaultConfig()
	cfg.Dir, cfg.FileBytes, cfg.ChunkBytes, cfg.CacheBytes = "j", 1<<20, 256<<10, 1<<20
	cfg.KeepBytes, cfg.SoftBytes, cfg.ReserveBytes = 0, 2<<20, 0
	var err error
	if b.store, err = wal.Open(cfg, wal.Options{FS: b.fs, Log: discard, Fatal: func(err error) { b.t.Log("fatal:", err) }}); err != nil {
		b.t.Fatal(err)
	}
	b.inc++
	j := id.Journal{Writer: b.inc, Seq: 1}
	if err := b.store.Join(j, wal.Membership{FileBytes: b.store.FileBytes()}); err != nil {
		b.t.Fatal(err)
	}
	if b.w, err = b.store.Create(j, nil); err != nil {
		b.t.Fatal(err)
	}
	b.deps = &Deps{Journal: b.w, Local: b.store, Heads: b.heads, Stored: b.meta, Tier: b, Clock: func() int64 { return b.now }}
}

func (b *bench) close() {
	b.w.Close()
	if err := b.store.Close(); err != nil {
		b.t.Error(err)
	}
}

// Producers is the tier's snapshot.
func (b *bench) Producers(context.Context, *schema.Head, id.Partition) ([]object.Producer, error) {
	if b.down {
		return nil, errors.New("the bucket is away")
	}
	return b.known, nil
}

func settings() *Settings {
	return &Settings{Topic: "t", MaxMessageBytes: 1 << 20, KeepCompression: true, TimestampBefore: 1<<63 - 1, TimestampAfter: 3_600_000, RetentionMs: -1, RetentionBytes: -1}
}

// take makes the partition the bench's own, adopting what journals hold.
func (b *bench) take(s *Settings) *Partition {
	b.t.Helper()
	stored, err := schema.GetHead(context.Background(), b.meta, part)
	if errors.Is(err, metadata.ErrNotFound) {
		stored, err = schema.StoredHead{Partition: part, Head: new(schema.Head)}, nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	head := *stored.Head
	head.Give(b.inc, 1)
	rev, err := b.heads.Write(context.Background(), stored.Guards(), stored.Ops(&head)...)
	if err != nil {
		b.t.Fatal(err)
	}
	p := New(b.deps, stored.Stored(&head, rev), s)
	for _, j := range b.store.Journals() {
		if j == b.w.ID() {
			continue
		}
		if _, err := b.store.Recover(j); err != nil {
			b.t.Fatal(err)
		}
		err := b.store.Entries(j, func(e *wal.Entry) error {
			for i := range e.Records {
				if err := p.Adopt(j, &e.Records[i], e.Place(&e.Records[i])); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	p.Serve()
	return p
}

// result is what one append came to.
type result struct {
	base int64
	err  error
}

type results chan result

func (r results) Appended(base int64, err error) { r <- result{base, err} }

// produce appends a batch of n records and waits for the outcome.
func produce(p *Partition, n int, pid int64, epoch int16, seq int32) result {
	return appendBatch(p, newBatch(n, pid, epoch, seq))
}

func appendBatch(p *Partition, b kafka.Batch) result {
	done := make(results, 1)
	if err := p.Append(context.Background(), b, p.deps.Clock(), id.NoEpoch, done); err != nil {
		return result{-1, err}
	}
	return <-done
}

func newBatch(n int, pid int64, epoch int16, seq int32) kafka.Batch {
	rs := make([]kafka.NewRecord, n)
	for i := range rs {
		rs[i] = kafka.NewRecord{Timestamp: 1_790_000_000_000 + int64(i), Key: []byte("k"), Value: fmt.Appendf(nil, "%d/%d/%d", pid, seq, i)}
	}
	b, err := kafka.Build(kafka.None, rs, func(b kafka.Batch) { b.SetProducer(pid, epoch, seq) })
	if err != nil {
		panic(err)
	}
	return b
}

// readAll reads the tail from offset on and checks that it is dense.
func readAll(t *testing.T, p *Partition, from int64) (values []string) {
	t.Helper()
	for next := from; ; {
		d, at, s, err := p.ReadNear(Reading{Offset: next, Limit: 1 << 20, Always: true, Epoch: id.NoEpoch})
		if err != nil || at != Near {
			t.Fatalf("at %d: %v, place %v", next, err, at)
		}
		all := bytes.Join(d.Pieces, nil)
		d.Release()
		for len(all) > 0 {
			var b kafka.Batch
			if b, all, err = kafka.Next(all); err != nil {
				t.Fatal(err)
			}
			if b.BaseOffset() != next {
				t.Fatalf("batch at %d where %d should be", b.BaseOffset(), next)
			}
			if err := b.Records(1<<20, func(r *kafka.Record) error { values = append(values, string(r.Value)); return nil }); err != nil {
				t.Fatal(err)
			}
			next = b.NextOffset()
		}
		if next == s.High {
			return values
		}
	}
}

func TestOffsetsAreDenseAndReadBack(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	want := int64(0)
	for i := range 200 {
		n := 1 + i%7
		if r := produce(p, n, -1, -1, -1); r.err != nil || r.base != want {
			t.Fatalf("append %d: %+v, want base %d", i, r, want)
		}
		want += int64(n)
	}
	if got := readAll(t, p, 0); int64(len(got)) != want {
		t.Errorf("%d records read, %d appended", len(got), want)
	}
	if s := p.State(); s.High != want || s.End != want || s.LogStart != 0 {
		t.Errorf("%+v", s)
	}
	if _, _, _, err := p.ReadNear(Reading{Offset: want + 1, Limit: 100, Always: true, Epoch: id.NoEpoch}); !errors.Is(err, ErrOutOfRange) {
		t.Errorf("beyond the end: %v", err)
	}
	if _, _, _, err := p.ReadNear(Reading{Offset: 0, Limit: 100, Always: true, Epoch: 7}); !errors.Is(err, ErrUnknownEpoch) {
		t.Errorf("epoch 7: %v", err)
	}
}

func TestProducersAreFollowed(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	for seq := int32(0); seq < 20; seq += 2 {
		if r := produce(p, 2, 9, 0, seq); r.err != nil || r.base != int64(seq) {
			t.Fatalf("sequence %d: %+v", seq, r)
		}
	}
	for _, seq := range []int32{18, 14, 10} { // the last five batches
		if r := produce(p, 2, 9, 0, seq); r.err != nil || r.base != int64(seq) {
			t.Errorf("repeated %d: %+v", seq, r)
		}
	}
	if r := produce(p, 2, 9, 0, 22); !errors.Is(r.err, ErrOutOfOrder) {
		t.Errorf("a gap: %+v", r)
	}
	if r := produce(p, 2, 9, 0, 8); !errors.Is(r.err, ErrOutOfOrder) {
		t.Errorf("too old a repetition: %+v", r)
	}
	if r := produce(p, 2, 9, 1, 5); !errors.Is(r.err, ErrOutOfOrder) {
		t.Errorf("a new epoch from 5: %+v", r)
	}
	if r := produce(p, 2, 9, 1, 0); r.err != nil || r.base != 20 {
		t.Errorf("a new epoch: %+v", r)
	}
	if r := produce(p, 2, 9, 0, 20); !errors.Is(r.err, ErrProducerFenced) {
		t.Errorf("the old epoch: %+v", r)
	}
	if s := p.State(); s.End != 22 {
		t.Errorf("the log ends at %d", s.End)
	}
}

// TestCrashKeepsRecordsAndProducers is promises 1 and 2 for one partition.
func TestCrashKeepsRecordsAndProducers(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	for seq := range int32(50) {
		if r := produce(p, 1, 4, 0, seq); r.err != nil {
			t.Fatal(r.err)
		}
	}
	before := readAll(t, p, 0)
	crashed := b.fs.Crash(rand.New(rand.NewPCG(3, 3)))
	b.close()
	b.fs = crashed
	b.open()
	q := b.take(settings())
	if after := readAll(t, q, 0); len(after) != len(before) || after[49] != before[49] {
		t.Fatalf("%d records after the crash, %d before", len(after), len(before))
	}
	if r := produce(q, 1, 4, 0, 47); r.err != nil || r.base != 47 {
		t.Errorf("repeated over the crash: %+v", r)
	}
	if r := produce(q, 1, 4, 0, 50); r.err != nil || r.base != 50 {
		t.Errorf("next after the crash: %+v", r)
	}
	if h := q.Head(); h.Epoch != 1 || len(h.Epochs) != 2 || h.Epochs[1].Start != 50 {
		t.Errorf("head %+v", h)
	}
	if e, end, ok, err := q.EpochEnd(t.Context(), 0); e != 0 || end != 50 || !ok || err != nil {
		t.Errorf("epoch 0 ends at %d (%v), %v", end, ok, err)
	}
}

func TestAppendsWaitForTheCommit(t *testing.T) {
	b := newBench(t)
	s := &stalled{Journal: b.deps.Journal}
	b.deps.Journal = s
	p := b.take(settings())
	done := make(results, 2)
	batch := newBatch(3, 5, 0, 0)
	again := bytes.Clone(batch)
	if err := p.Append(t.Context(), batch, p.deps.Clock(), id.NoEpoch, done); err != nil {
		t.Fatal(err)
	}
	w := NewWatcher(1)
	p.Watch(w, Reading{Offset: 0, Limit: 1, Epoch: id.NoEpoch})
	defer p.Unwatch(w)
	if err := p.Append(t.Context(), again, p.deps.Clock(), id.NoEpoch, done); err != nil {
		t.Fatal(err)
	}
	if st := p.State(); st.High != 0 || st.End != 3 || len(done) != 0 {
		t.Errorf("%+v, %d answered before the commit", st, len(done))
	}
	if d, _, _, err := p.ReadNear(Reading{Offset: 0, Limit: 1000, Always: true, Epoch: id.NoEpoch}); err != nil || d.Bytes != 0 {
		t.Errorf("%d bytes shown before the commit, %v", d.Bytes, err)
	}
	s.release()
	for range 2 {
		if r := <-done; r.err != nil || r.base != 0 {
			t.Errorf("%+v", r)
		}
	}
	<-w.C
}

// stalled keeps commits back until it is released.
type stalled struct {
	Journal
	held []func()
}

type heldOwner struct {
	s     *stalled
	owner wal.Owner
	back  chan struct{}
}

func (s *stalled) Append(rec *wal.Record, body []byte, owner wal.Owner) error {
	h := &heldOwner{s, owner, make(chan struct{})}
	s.held = append(s.held, func() { close(h.back) })
	return s.Journal.Append(rec, body, h)
}

func (h *heldOwner) Committed(j id.Journal, pos wal.Pos, n uint64) {
	<-h.back
	h.owner.Committed(j, pos, n)
}
func (h *heldOwner) Failed(err error) { h.owner.Failed(err) }

func (s *stalled) release() {
	for _, f := range s.held {
		f()
	}
}

func TestTheTierRemembersProducers(t *testing.T) {
	b := newBench(t)
	b.known = []object.Producer{{ID: 8, Epoch: 2, Timestamp: b.now, Batches: []object.ProducerBatch{{FirstSequence: 6, LastSequence: 9, Base: 90}}}}
	head := &schema.Head{Ownership: schema.Ownership{Owner: 77, Epoch: 4}, TieredEnd: 100}
	if _, err := b.meta.Txn(t.Context(), nil, schema.StoredHead{Partition: part}.Ops(head)...); err != nil {
		t.Fatal(err)
	}
	p := b.take(settings())
	b.down = true
	if r := produce(p, 4, 8, 2, 6); r.err == nil {
		t.Errorf("with the tier away a producer in midstream is believed: %+v", r)
	}
	b.down = false
	if r := produce(p, 4, 8, 2, 6); r.err != nil || r.base != 90 {
		t.Errorf("repeated: %+v", r)
	}
	if r := produce(p, 4, 8, 2, 12); !errors.Is(r.err, ErrOutOfOrder) {
		t.Errorf("a gap: %+v", r)
	}
	if r := produce(p, 1, 8, 2, 10); r.err != nil || r.base != 100 {
		t.Errorf("next: %+v", r)
	}
}

func TestLosingTheHeadClosesThePartition(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	if r := produce(p, 1, -1, -1, -1); r.err != nil {
		t.Fatal(r.err)
	}
	other := schema.Ownership{Owner: 99, Epoch: 9} // the controller assigned it to another agent
	if _, err := b.meta.Txn(t.Context(), nil, metadata.Put(schema.OwnerKey(part), other.Encode())); err != nil {
		t.Fatal(err)
	}
	err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.LogStart = 1; return nil })
	if !errors.Is(err, manifest.ErrNotOwner) {
		t.Fatalf("commit: %v", err)
	}
	if r := produce(p, 1, -1, -1, -1); !errors.Is(r.err, ErrNotOwner) {
		t.Errorf("append afterwards: %+v", r)
	}
	if stored, err := schema.GetHead(t.Context(), b.meta, part); err != nil || stored.Head.Owner != 99 || stored.Head.LogStart != 0 {
		t.Errorf("the other's head was overwritten: %+v, %v", stored.Head, err)
	}
}

// TestConfirm: only the present owner may say that an offset doesn't exist yet, and
// only while etcd can tell that it is.
func TestConfirm(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	if err := p.Confirm(t.Context()); err != nil {
		t.Errorf("the owner: %v", err)
	}
	unheard, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Confirm(unheard); !errors.Is(err, ErrNotOwner) {
		t.Errorf("without an answer: %v", err)
	}
	for _, other := range []schema.Ownership{{Owner: 99, Epoch: p.Head().Epoch}, {Owner: p.Head().Owner, Epoch: p.Head().Epoch + 1}} {
		if _, err := b.meta.Txn(t.Context(), nil, metadata.Put(schema.OwnerKey(part), other.Encode())); err != nil {
			t.Fatal(err)
		}
		if err := p.Confirm(t.Context()); !errors.Is(err, ErrNotOwner) {
			t.Errorf("owner %v, epoch %d: %v", other.Owner, other.Epoch, err)
		}
	}
}

// TestOnlyTheOwnerSaysOutOfOrder: an owner that was replaced and doesn't know it lacks
// batches, so that a producer's next one seems out of order.
func TestOnlyTheOwnerSaysOutOfOrder(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	if r := produce(p, 1, 9, 0, 0); r.err != nil {
		t.Fatal(r.err)
	}
	if r := produce(p, 1, 9, 0, 5); !errors.Is(r.err, ErrOutOfOrder) {
		t.Errorf("the owner: %v", r.err)
	}
	other := schema.Ownership{Owner: 99, Epoch: p.Head().Epoch + 1}
	if _, err := b.meta.Txn(t.Context(), nil, metadata.Put(schema.OwnerKey(part), other.Encode())); err != nil {
		t.Fatal(err)
	}
	if r := produce(p, 1, 9, 0, 5); !errors.Is(r.err, ErrNotOwner) || errors.Is(r.err, ErrOutOfOrder) {
		t.Errorf("who was the owner: %v", r.err)
	}
}

// TestOwnLateWriteIsNoLoss: a write whose answer was lost makes the next one meet
// a conflict with itself.
func TestOwnLateWriteIsNoLoss(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	if r := produce(p, 5, -1, -1, -1); r.err != nil {
		t.Fatal(r.err)
	}
	late := *p.Head()
	late.TieredEnd = 2
	if _, err := b.meta.Txn(t.Context(), nil, schema.StoredHead{Partition: part}.Ops(&late)...); err != nil {
		t.Fatal(err)
	}
	if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.LogStart = h.TieredEnd; return nil }); err != nil {
		t.Fatal(err)
	}
	if h := p.Head(); h.TieredEnd != 2 || h.LogStart != 2 {
		t.Errorf("%+v", h)
	}
	if r := produce(p, 1, -1, -1, -1); r.err != nil {
		t.Errorf("append afterwards: %+v", r)
	}
}

func TestPendingShrinksAsTheTierGrows(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	for range 10 {
		if r := produce(p, 2, -1, -1, -1); r.err != nil {
			t.Fatal(r.err)
		}
	}
	run := p.Pending(0, 1<<20)
	if len(run.Batches) != 10 || run.Batches[9].End != 20 {
		t.Fatalf("%d batches pending", len(run.Batches))
	}
	all, _ := p.PendingBytes()
	one := int64(run.Batches[0].Size)
	if first := p.Pending(0, one); len(first.Batches) != 1 {
		t.Errorf("%d batches within %d bytes", len(first.Batches), one)
	}
	if n := needed(p); len(n) != 1 {
		t.Errorf("needed are %v", n)
	}
	if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.TieredEnd = 8; return nil }); err != nil {
		t.Fatal(err)
	}
	if left, _ := p.PendingBytes(); left != all-4*one {
		t.Errorf("%d bytes wait, want %d", left, all-4*one)
	}
	if run := p.Pending(0, 1<<20); len(run.Batches) != 6 || run.Batches[0].Base != 8 {
		t.Errorf("%d batches pending", len(run.Batches))
	}
	if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.TieredEnd = 20; return nil }); err != nil {
		t.Fatal(err)
	}
	if left, since := p.PendingBytes(); left != 0 || since != 0 {
		t.Errorf("%d bytes wait since %d", left, since)
	}
	if n := needed(p); len(n) != 0 {
		t.Errorf("still needed are %v", n)
	}
}

func needed(p *Partition) map[id.Journal]wal.Pos {
	all := map[id.Journal]wal.Pos{}
	p.Needs(func(j id.Journal, from wal.Pos) { all[j] = from })
	return all
}

// TestEveryJournalOfATailIsNeeded: a tail that lies in an adopted journal and in
// the present one needs both, until the tier has each.
func TestEveryJournalOfATailIsNeeded(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	if r := produce(p, 3, -1, -1, -1); r.err != nil {
		t.Fatal(r.err)
	}
	old := b.w.ID()
	b.close()
	b.open()
	p = b.take(settings())
	if r := produce(p, 2, -1, -1, -1); r.err != nil {
		t.Fatal(r.err)
	}
	if n := needed(p); len(n) != 2 {
		t.Fatalf("needed are %v", n)
	}
	if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.TieredEnd = 3; return nil }); err != nil {
		t.Fatal(err)
	}
	if n := needed(p); len(n) != 1 || n[old] != 0 {
		t.Errorf("needed are %v", n)
	}
}

func TestSettingsAreObeyed(t *testing.T) {
	b := newBench(t)
	s := settings()
	p := b.take(s)
	change := func(f func(*Settings)) { c := *s; f(&c); p.Configure(&c) }

	change(func(s *Settings) { s.MaxMessageBytes = 100 })
	if r := produce(p, 10, -1, -1, -1); !errors.Is(r.err, kafka.ErrTooLarge) {
		t.Errorf("too large: %+v", r)
	}
	change(func(s *Settings) { s.Compact = true })
	keyless, err := kafka.Build(kafka.Lz4, []kafka.NewRecord{{Key: []byte("k")}, {Value: []byte("v")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var each *RecordErrors
	if r := appendBatch(p, keyless); !errors.As(r.err, &each) || len(each.Records) != 1 || each.Records[0].Index != 1 {
		t.Errorf("a record without key: %+v", r)
	}
	change(func(s *Settings) { s.TimestampAfter = 1000 })
	b.now -= 10_000
	if r := produce(p, 2, -1, -1, -1); !errors.As(r.err, &each) || !errors.Is(r.err, ErrTimestamp) || len(each.Records) != 2 {
		t.Errorf("from the future: %+v", r)
	}
	b.now += 10_000
	change(func(s *Settings) { s.LogAppendTime, s.KeepCompression, s.Compression = true, false, kafka.Zstd })
	if r := produce(p, 5, -1, -1, -1); r.err != nil {
		t.Fatal(r.err)
	}
	d, _, _, err := p.ReadNear(Reading{Offset: 0, Limit: 1 << 20, Always: true, Epoch: id.NoEpoch})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	stored := kafka.Batch(bytes.Join(d.Pieces, nil))
	if err := stored.Validate(); err != nil || stored.Codec() != kafka.Zstd || !stored.IsLogAppendTime() || stored.MaxTimestamp() != b.now {
		t.Errorf("%v, %v, %d, %v", stored.Codec(), stored.IsLogAppendTime(), stored.MaxTimestamp(), err)
	}
	if found, ok, err := p.FindTime(t.Context(), b.now); err != nil || !ok || found.Offset != 0 {
		t.Errorf("by time: %+v, %v, %v", found, ok, err)
	}
	if _, ok, err := p.FindTime(t.Context(), b.now+1); err != nil || ok {
		t.Errorf("after the newest: %v, %v", ok, err)
	}
}

// counted answers appends by counting them.
type counted sync.WaitGroup

func (c *counted) Appended(int64, error) { (*sync.WaitGroup)(c).Done() }

func BenchmarkAppend(b *testing.B) {
	bn := newBench(b)
	p := bn.take(settings())
	batch := newBatch(64, -1, -1, -1)
	var under sync.WaitGroup
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		under.Add(1)
		batch.SetBaseOffset(0) // as producers send it
		if err := p.Append(context.Background(), batch, bn.now, id.NoEpoch, (*counted)(&under)); err != nil {
			b.Fatal(err)
		}
		if n%64 == 0 { // as if the tier had it
			under.Wait()
			end := p.State().High
			if err := p.UpdateHead(b.Context(), func(h *schema.Head) error { h.TieredEnd = end; return nil }); err != nil {
				b.Fatal(err)
			}
			bn.store.Trim(bn.w.ID(), bn.w.Committed())
		}
	}
	under.Wait()
}
