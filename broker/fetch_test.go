package broker

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/partition"
	"varve/tiering/object"
	"varve/tiering/read"
	"varve/wal"
)

// fetchBench has partitions whose journal commits when it is told to, and counts
// what is read.
type fetchBench struct {
	*testing.T
	body  []byte
	held  []func()
	reads int // of the journal
	mu    sync.Mutex
	slow  time.Duration // what a read of the journal takes
	far   int           // of the tier
	deps  partition.Deps
	parts []*partition.Partition
	api   *fetchAPI
}

func newFetchBench(t *testing.T, partitions int) *fetchBench {
	f := &fetchBench{T: t}
	f.deps = partition.Deps{Journal: f, Local: f, Clock: func() int64 { return time.Now().UnixMilli() }}
	s := &partition.Settings{MaxMessageBytes: 1 << 20, KeepCompression: true, TimestampBefore: 1<<63 - 1, TimestampAfter: 1 << 62}
	for i := range int32(partitions) {
		p := partition.New(&f.deps, schema.StoredHead{Partition: id.Partition{Topic: id.Topic{1}, Index: i}, Head: new(schema.Head)}, s)
		p.Serve()
		f.parts = append(f.parts, p)
	}
	f.deps.Tier = busyTier{f: f}
	f.api = &fetchAPI{tierShare: func() int { return 1 << 20 }}
	return f
}

func (f *fetchBench) ID() id.Journal                                      { return id.Journal{Writer: 1, Seq: 1} }
func (f *fetchBench) Room() <-chan struct{}                               { return nil }
func (f *fetchBench) Wait(context.Context, <-chan struct{}) error         { return nil }
func (f *fetchBench) Floor(id.Journal) wal.Pos                            { return 0 }
func (f *fetchBench) View(id.Journal, wal.Pos, int) (v wal.View, ok bool) { return v, false }

func (f *fetchBench) Append(rec *wal.Record, body []byte, owner wal.Owner) error {
	at := wal.Pos(len(f.body))
	f.body = append(f.body, body...)
	rec.Size = uint32(len(body))
	f.held = append(f.held, func() { owner.Committed(id.Journal{}, at, 1) })
	return nil
}

func (f *fetchBench) ReadAt(_ id.Journal, p []byte, pos wal.Pos) error {
	f.mu.Lock()
	f.reads++
	f.mu.Unlock()
	time.Sleep(f.slow)
	copy(p, f.body[pos:])
	return nil
}

// busyTier has no time for anybody.
type busyTier struct {
	partition.Tier
	f *fetchBench
}

func (b busyTier) HoleAt(id.Partition, int64) *object.HoleError { return nil }
func (b busyTier) FoundHole(*object.HoleError, time.Time) bool  { return true }

func (b busyTier) Read(context.Context, *schema.Head, id.Partition, int64, int) (d read.Data, err error) {
	b.f.far++
	return d, read.ErrBusy
}

// produce commits a batch in a partition and gives its size.
func (f *fetchBench) produce(partition int) int {
	f.Helper()
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: time.Now().UnixMilli(), Value: make([]byte, 1000)}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	if err := f.parts[partition].Append(f.Context(), b, time.Now().UnixMilli(), id.NoEpoch, nil); err != nil {
		f.Fatal(err)
	}
	for _, commit := range f.held {
		commit()
	}
	f.held = nil
	return len(b)
}

// fetch begins a fetch of all partitions; the channel gives how many bytes it
// found.
func (f *fetchBench) fetch(minBytes, maxBytes, partMax int, wait time.Duration) <-chan int {
	call := &fetchCall{api: f.api, r: &request{arrived: time.Now(), caller: &caller{}}, limit: maxBytes,
		req: kmsg.FetchRequest{MinBytes: int32(minBytes), MaxWaitMillis: int32(wait.Milliseconds())}}
	for i, p := range f.parts {
		call.parts = append(call.parts, &fetchPart{want: fetchWant{partition: int32(i), maxBytes: int32(partMax), epoch: id.NoEpoch}, p: p, topic: new(cluster.Topic)})
	}
	found := make(chan int, 1)
	go func() {
		call.collect(f.Context())
		n := 0
		for _, fp := range call.parts {
			n += fp.data.Bytes
		}
		call.releaseAll()
		found <- n
	}()
	synctest.Wait()
	return found
}

func TestAWaitingFetchReadsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetchBench(t, 100)
		began := time.Now()
		found := f.fetch(10_000, 1<<20, 1<<20, time.Minute)
		total := 0
		for i := range 10 {
			synctest.Wait()
			if len(found) > 0 || f.reads > 0 {
				t.Fatalf("behind %d bytes: %d reads, answered %v", total, f.reads, len(found) > 0)
			}
			total += f.produce(i)
		}
		if n := <-found; n != total || f.reads != 10 || time.Now() != began {
			t.Errorf("%d bytes of %d, %d reads, after %v", n, total, f.reads, time.Since(began))
		}
		// What is there already is not waited for.
		if n := <-f.fetch(10_000, 1<<20, 1<<20, time.Minute); n != total || f.reads != 20 || time.Now() != began {
			t.Errorf("%d bytes of %d, %d reads, after %v", n, total, f.reads, time.Since(began))
		}
	})
}

func TestAFetchWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetchBench(t, 2)
		began := time.Now()
		found := f.fetch(10_000, 1<<20, 1<<20, time.Second)
		size := f.produce(1)
		if n := <-found; n != size || time.Since(began) != time.Second {
			t.Errorf("%d bytes of %d, after %v", n, size, time.Since(began))
		}
		// More than the client takes of one partition doesn't count.
		for range 20 {
			f.produce(0)
		}
		began = time.Now()
		if n := <-f.fetch(10_000, 1<<20, 3*size, time.Second); n != 4*size || time.Since(began) != time.Second {
			t.Errorf("%d bytes of %d, after %v", n, 4*size, time.Since(began))
		}
		// Nobody can wait for more than an answer holds.
		began = time.Now()
		if n := <-f.fetch(100_000, 10_000, 1<<20, time.Second); n == 0 || n > 10_000 || time.Since(began) != 0 {
			t.Errorf("%d bytes, after %v", n, time.Since(began))
		}
		// A partition that closes is told at once.
		found = f.fetch(100_000, 1<<20, 1<<20, time.Second)
		f.parts[1].Close()
		if <-found; time.Since(began) != 0 {
			t.Errorf("after %v", time.Since(began))
		}
	})
}

func TestAFetchWaitsWhileTheTierIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetchBench(t, 2)
		head := &schema.Head{TieredEnd: 7}
		f.parts[0] = partition.New(&f.deps, schema.StoredHead{Partition: f.parts[0].ID(), Head: head}, f.parts[0].Settings())
		f.parts[0].Serve()
		began := time.Now()
		found := f.fetch(1, 1<<20, 1<<20, time.Second)
		if n := <-found; n != 0 || f.far != 2 || time.Since(began) != time.Second {
			t.Errorf("%d bytes, %d reads of the tier, after %v", n, f.far, time.Since(began))
		}
		found = f.fetch(1, 1<<20, 1<<20, time.Second)
		began = time.Now()
		size := f.produce(1)
		if n := <-found; n != size || time.Since(began) != 0 {
			t.Errorf("%d bytes of %d, after %v", n, size, time.Since(began))
		}
	})
}

// TestASlowPeerIsWaitedForOnce: what lies at peers is read side by side, and what would
// take too long is left for the next fetch, but one way or the other all of it is read.
func TestASlowPeerIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetchBench(t, 40)
		f.deps.Remote = func(id.Journal) bool { return true }
		size := 0
		for i := range f.parts {
			size = f.produce(i)
		}
		f.slow = 2 * time.Second
		began := time.Now()
		if n := <-f.fetch(1, 1<<20, 1<<20, time.Second); n != 32*size || time.Since(began) != 2*f.slow {
			t.Errorf("%d bytes, %d is one batch, after %v", n, size, time.Since(began))
		}
		// No more than an answer may hold, but for what is read at the same time; and at
		// least one batch.
		for limit, want := range map[int]int{10 * size: 10, size / 2: 1} {
			if n := <-f.fetch(1, limit, 1<<20, time.Second); n < want*size || n > (want+peersParallel)*size {
				t.Errorf("limit %d: %d bytes, %d is one batch", limit, n, size)
			}
		}
	})
}
