package broker

import (
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/partition"
	"varve/wal"
)

// BenchmarkFetch reads what was just written to a real journal, whose memory is lent: from
// reading to the end of the answer, without a socket.
func BenchmarkFetch(b *testing.B) {
	cfg := wal.DefaultConfig()
	cfg.Dir, cfg.FileBytes, cfg.ChunkBytes, cfg.CacheBytes, cfg.ReserveBytes = "j", 4<<20, 1<<20, 64<<20, 0
	store, err := wal.Open(cfg, wal.Options{FS: vfs.NewMemory(), Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	j := id.Journal{Writer: 1, Seq: 1}
	if err := store.Join(j, wal.Membership{FileBytes: store.FileBytes()}); err != nil {
		b.Fatal(err)
	}
	w, err := store.Create(j, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	deps := &partition.Deps{Journal: w, Local: store, Clock: func() int64 { return time.Now().UnixMilli() }}
	s := &partition.Settings{MaxMessageBytes: 1 << 20, KeepCompression: true, TimestampBefore: 1<<63 - 1, TimestampAfter: 1 << 62}
	for _, x := range []struct {
		name              string
		partitions, value int
	}{{"one", 1, 32 << 10}, {"hundred", 100, 32 << 10}, {"small", 100, 100}} {
		var parts []*partition.Partition
		done := make(appended, 4*x.partitions)
		for i := range int32(x.partitions) {
			p := partition.New(deps, schema.StoredHead{Partition: id.Partition{Topic: id.Topic{byte(x.value)}, Index: i}, Head: new(schema.Head)}, s)
			p.Serve()
			parts = append(parts, p)
			for range 4 {
				batch, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: 1, Value: make([]byte, x.value)}}, nil)
				if err != nil {
					b.Fatal(err)
				}
				if err := p.Append(b.Context(), batch, 1, id.NoEpoch, done); err != nil {
					b.Fatal(err)
				}
			}
		}
		for range cap(done) {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		b.Run(x.name, func(b *testing.B) {
			api := &fetchAPI{metrics: newMetrics(nil)}
			topic := new(cluster.Topic)
			b.ReportAllocs()
			for b.Loop() {
				call := &fetchCall{api: api, r: &request{arrived: time.Now(), caller: &caller{}}, limit: 64 << 20, req: kmsg.FetchRequest{Version: 12, MinBytes: 1, MaxWaitMillis: 1000}}
				for i, p := range parts {
					call.parts = append(call.parts, &fetchPart{want: fetchWant{partition: int32(i), maxBytes: 1 << 20, epoch: id.NoEpoch}, p: p, topic: topic})
				}
				call.collect(b.Context())
				if n := len(call.encode()); n == 0 {
					b.Fatal("no answer")
				}
				call.releaseAll()
			}
		})
	}
}

// appended tells when a batch is committed.
type appended chan error

func (a appended) Appended(_ int64, err error) { a <- err }
