package replica

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"sync"
	"testing"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/wal"
)

// BenchmarkReplicate appends to a journal with an ensemble of agents on one machine,
// real files and loopback, until a quorum has it on disk.
func BenchmarkReplicate(b *testing.B) {
	for _, members := range []int{1, 2, 3} {
		for _, size := range []int{4 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("members=%d/%dKiB", members, size>>10), func(b *testing.B) { replicate(b, members, size) })
		}
	}
}

func replicate(b *testing.B, members, size int) {
	var nodes []*Node
	var ids []id.Store
	addrs := map[id.Store]string{}
	log := slog.New(slog.DiscardHandler)
	for i := range members {
		cfg := wal.DefaultConfig()
		cfg.Dir, cfg.KeepBytes = b.TempDir(), 0
		s, err := wal.Open(cfg, wal.Options{FS: vfs.OS{}, Log: log, Fatal: func(err error) { b.Error(err) }})
		if err != nil {
			b.Fatal(err)
		}
		n, err := Open(DefaultConfig(), Deps{Store: s, Cluster: "bench", Incarnation: id.Incarnation(i + 1), Log: log,
			Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", addr)
			},
			Resolve: func(s id.Store) (string, bool) { a, ok := addrs[s]; return a, ok }})
		if err != nil {
			b.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		addrs[s.ID()] = l.Addr().String()
		var serving sync.WaitGroup
		serving.Go(func() { _ = n.Serve(context.Background(), l) })
		b.Cleanup(func() {
			n.Close()
			serving.Wait()
			s.Close()
		})
		nodes, ids = append(nodes, n), append(ids, s.ID())
	}
	w, err := nodes[0].Create(context.Background(), id.Journal{Writer: 1, Seq: 1}, ids, members/2+1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Close)
	data := body(0, size)
	rec := wal.Record{BodyCRC: crc32.Checksum(data[wal.BodySumFrom:], sums)}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	var wait sync.WaitGroup
	trimmed := uint64(0)
	for b.Loop() {
		for {
			room := w.Room()
			wait.Add(1)
			err := w.Append(&rec, data, (*counter)(&wait))
			if err == nil {
				break
			}
			wait.Done()
			if n := w.Committed(); n > trimmed {
				trimmed = n
				nodes[0].Trim(w.ID(), ^wal.Pos(0), n)
			}
			if !wal.IsBusy(err) && !errors.Is(err, wal.ErrFull) {
				b.Fatal(err)
			}
			if err := w.Wait(context.Background(), room); err != nil {
				b.Fatal(err)
			}
		}
	}
	wait.Wait()
}

type counter sync.WaitGroup

func (c *counter) Committed(id.Journal, wal.Pos, uint64) { (*sync.WaitGroup)(c).Done() }
func (c *counter) Failed(error)                          { (*sync.WaitGroup)(c).Done() }
