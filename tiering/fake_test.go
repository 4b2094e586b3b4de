package tiering

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/s3store"
)

// fakeSource is a partition whose journal is memory and whose head is in a
// metadata store.
type fakeSource struct {
	id    id.Partition
	heads *metadata.Writer
	owner id.Incarnation

	commits chan struct{} // holds one token

	mu struct {
		sync.Mutex
		head      *metadata.Head
		rev       metadata.Revision
		next      int64
		batches   []Batch // all ever produced
		data      [][]byte
		producers []Producer
		aborted   []Aborted
		oldest    int64
		readErr   error
		recallErr error
		lost      bool
	}
}

func newFakeSource(t testing.TB, heads *metadata.Writer, p id.Partition, owner id.Incarnation, start int64) *fakeSource {
	t.Helper()
	s := &fakeSource{id: p, heads: heads, owner: owner, commits: make(chan struct{}, 1)}
	s.commits <- struct{}{}
	s.mu.next = start
	h := &metadata.Head{Owner: owner, Broker: 1, LogStart: start, TieredEnd: start, Chain: []metadata.Link{{Writer: owner, Start: start}},
		Epochs: []metadata.EpochStart{{Epoch: 0, Start: start}}}
	rev, err := heads.Write(t.Context(), []metadata.Guard{{Key: metadata.HeadKey(p)}}, metadata.Put(metadata.HeadKey(p), h.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.head, s.mu.rev = h, rev
	return s
}

func (s *fakeSource) produce(batch kafka.Batch, epoch id.Epoch, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch.SetBaseOffset(s.mu.next)
	batch.SetLeaderEpoch(int32(epoch))
	s.mu.batches = append(s.mu.batches, Batch{Base: s.mu.next, End: batch.NextOffset(), Size: int32(len(batch)), MaxTime: batch.MaxTimestamp(), Epoch: epoch,
		Location: Location{Journal: id.Journal{Writer: s.owner, Seq: 1}, Pos: uint64(len(s.mu.data))}})
	s.mu.data = append(s.mu.data, batch)
	s.mu.next = batch.NextOffset()
	if s.mu.oldest == 0 {
		s.mu.oldest = now
	}
}

func (s *fakeSource) Partition() id.Partition { return s.id }

func (s *fakeSource) Recall(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.recallErr
}

func (s *fakeSource) untiered() int {
	return slices.IndexFunc(append(slices.Clone(s.mu.batches), Batch{Base: s.mu.next}), func(b Batch) bool { return b.Base >= s.mu.head.TieredEnd })
}

func (s *fakeSource) Pending(limit int64) (run Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.mu.batches[s.untiered():] {
		if limit -= int64(b.Size); limit < 0 && len(run.Batches) > 0 {
			break
		}
		run.Batches = append(run.Batches, b)
	}
	run.Producers, run.Aborted = s.mu.producers, s.mu.aborted
	return run
}

func (s *fakeSource) PendingBytes() (n, oldest int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.lost {
		return 0, 0
	}
	for _, b := range s.mu.batches[s.untiered():] {
		n += int64(b.Size)
	}
	if n == 0 {
		return 0, 0
	}
	return n, s.mu.oldest
}

func (s *fakeSource) Read(_ context.Context, b Batch, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(p, s.mu.data[b.Location.Pos])
	return s.mu.readErr
}

func (s *fakeSource) Head() *metadata.Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.head
}

func (s *fakeSource) Commit(ctx context.Context, change func(*metadata.Head) error) error {
	select {
	case <-s.commits:
		defer func() { s.commits <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	h, err := metadata.DecodeHead(s.mu.head.Encode())
	rev := s.mu.rev
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := change(h); err != nil {
		return err
	}
	key := metadata.HeadKey(s.id)
	rev, err = s.heads.Write(ctx, []metadata.Guard{{Key: key, Mod: rev}}, metadata.Put(key, h.Encode()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, metadata.ErrConflict) {
		s.mu.lost = true
		return ErrNotOwner
	}
	if err != nil {
		return err
	}
	s.mu.head, s.mu.rev = h, rev
	if s.mu.oldest = 0; s.untiered() < len(s.mu.batches) {
		s.mu.oldest = 1
	}
	return nil
}

// history is what readers must get from an offset on.
func (s *fakeSource) history(offset int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []byte
	for i, b := range s.mu.batches {
		if b.End > offset && b.Base < s.mu.head.TieredEnd {
			all = append(all, s.mu.data[i]...)
		}
	}
	return all
}

// world is a bucket, a metadata store, a reader and an uploader.
type world struct {
	t       testing.TB
	bucket  s3store.Store // without faults
	store   s3store.Store // with faults
	faults  func(s3store.Call) s3store.Fault
	meta    *metadata.Memory
	heads   *metadata.Writer
	names   *Names
	reader  *Reader
	sources []*fakeSource // complete before the first flush
	now     clock
	upload  *Uploader
	start   func() // runs the uploader
	cancel  context.CancelFunc
}

// clock is a test's time in ms.
type clock struct{ now atomic.Int64 }

func (c *clock) ms() int64    { return c.now.Load() }
func (c *clock) set(ms int64) { c.now.Store(ms) }
func (c *clock) add(ms int64) { c.now.Add(ms) }

type worldConfig struct {
	upload UploadConfig
	reader ReaderConfig
}

func testConfig() worldConfig {
	c := worldConfig{DefaultUploadConfig(), DefaultReaderConfig()}
	c.reader.ChunkBytes, c.reader.MemoryBytes, c.reader.ReadaheadBytes = 256<<10, 8<<20, 2<<20
	c.upload.CheckEvery = time.Hour // only flushes upload
	return c
}

func newWorld(t testing.TB, cfg worldConfig) *world {
	t.Helper()
	w := &world{t: t, bucket: s3store.NewMemory(), meta: metadata.NewMemory(), names: NewNames(7)}
	w.now.set(1_000_000)
	w.store = s3store.WithFaults(w.bucket, func(c s3store.Call) s3store.Fault {
		if w.faults == nil {
			return s3store.Fault{}
		}
		return w.faults(c)
	})
	log := slog.New(slog.DiscardHandler)
	handle := w.meta.Open()
	w.heads = metadata.NewWriter(handle, metadata.DefaultWriterConfig(), log, nil)
	w.reader = NewReader(w.store, cfg.reader, nil)
	w.upload = NewUploader(cfg.upload, UploadDeps{Store: w.store, Reader: w.reader, Names: w.names, Sources: w.list, Log: log,
		Topic: func(t id.Topic) string { return fmt.Sprintf("topic-%x", t[0]) }, Clock: w.now.ms})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	w.start = sync.OnceFunc(func() { wg.Go(func() { _ = w.upload.Run(ctx) }) })
	w.cancel = func() { cancel(); wg.Wait() }
	t.Cleanup(func() {
		w.cancel()
		w.reader.Close()
		if n := w.reader.memory.inUse(); n != 0 {
			t.Errorf("%d bytes of the reader's memory were never released", n)
		}
		_ = w.heads.Close(context.Background())
		_ = handle.Close()
	})
	return w
}

func (w *world) list() iter.Seq[Source] {
	return func(yield func(Source) bool) {
		for _, s := range w.sources {
			if !yield(s) {
				return
			}
		}
	}
}

func (w *world) source(topic byte, index int32) *fakeSource {
	s := newFakeSource(w.t, w.heads, id.Partition{Topic: id.Topic{topic}, Index: index}, w.names.Writer(), 0)
	w.sources = append(w.sources, s)
	return s
}

func (w *world) flush() {
	w.t.Helper()
	w.start()
	if err := w.upload.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// readAll reads everything from an offset on, in reads of at most limit bytes.
func (w *world) readAll(s *fakeSource, offset int64, limit int) []byte {
	w.t.Helper()
	var all []byte
	for h := s.Head(); offset < h.TieredEnd; {
		d, err := w.reader.Read(w.t.Context(), h, s.id, offset, limit)
		if err != nil {
			w.t.Fatalf("read at %d: %v", offset, err)
		}
		if d.Next <= offset {
			w.t.Fatalf("read at %d got to %d", offset, d.Next)
		}
		n := 0
		for _, p := range d.Pieces {
			all = append(all, p...)
			n += len(p)
		}
		if n != d.Bytes {
			w.t.Fatalf("pieces have %d bytes, Bytes is %d", n, d.Bytes)
		}
		offset = d.Next
		d.Release()
	}
	return all
}

func (w *world) checkHistory(s *fakeSource, offset int64, limit int) {
	w.t.Helper()
	if got, want := w.readAll(s, offset, limit), s.history(offset); !bytes.Equal(got, want) {
		w.t.Fatalf("%v from %d: read %d bytes that are not the %d produced", s.id, offset, len(got), len(want))
	}
}

// randomBatch has records from time first on, each a ms later.
func randomBatch(t testing.TB, rng *rand.Rand, codec kafka.Codec, records, valueBytes int, first int64) kafka.Batch {
	t.Helper()
	list := make([]kafka.NewRecord, records)
	for i := range list {
		v := make([]byte, valueBytes)
		for j := range v {
			v[j] = "abcdefgh"[rng.IntN(8)]
		}
		list[i] = kafka.NewRecord{Timestamp: first + int64(i), Value: v}
	}
	b, err := kafka.Build(codec, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// addCopy adds a batch that lies elsewhere than in the builder's room.
func (b *builder) addCopy(meta *Batch, batch []byte) error {
	b.room = batch
	return b.add(meta, 0)
}
