package owner

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
	"varve/wal"
	"varve/wal/replica"
)

// world is an Owner over a view of an etcd in memory. Its peers say nothing.
type world struct {
	*Owner
	t     *testing.T
	meta  metadata.Store
	etcd  *metadata.MemoryStore // that the view follows
	asked chan id.Journal       // what peers were asked for
}

const (
	me    = id.Incarnation(1)
	other = id.Incarnation(2)
)

func newWorld(t *testing.T) *world {
	t.Helper()
	memory := metadata.NewMemory()
	w := &world{t: t, meta: memory.Open(), etcd: memory.Open(), asked: make(chan id.Journal, 100)}
	log := slog.New(slog.DiscardHandler)
	cfg := wal.DefaultConfig()
	cfg.Dir = "j"
	store, err := wal.Open(cfg, wal.Options{FS: vfs.NewMemory(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	view := cluster.NewView(w.etcd, log)
	heads := metadata.NewWriter(w.meta, metadata.DefaultWriterConfig(), log, nil)
	ctx, stop := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { view.Run(ctx) })
	t.Cleanup(func() {
		stop()
		tasks.Wait()
		_ = heads.Close(context.Background())
		_ = store.Close()
		_ = w.etcd.Close()
		_ = w.meta.Close()
	})
	<-view.Ready()
	deps := Deps{
		Self: 1, Incarnation: me, Store: store.ID(), Set: NewSet(), Unserved: NewUnserved(log), View: view, Meta: w.meta, Heads: heads,
		Tails: replica.NewTails(store, silent{ctx, w.asked}, time.Now), Mine: func() id.Journal { return id.Journal{Writer: me, Seq: 1} },
		Flush: func(context.Context, ...id.Partition) error { return nil }, EtcdAnswers: func(context.Context) bool { return true },
		Opening: func(bool, time.Time) {}, Leaving: func() bool { return false }, Go: tasks.Go, Fatal: func(err error) { t.Error(err) }, Now: time.Now, Log: log,
	}
	deps.Partition = &partition.Deps{Heads: heads, Stored: w.meta, Clock: func() int64 { return time.Now().UnixMilli() }, Log: log}
	w.Owner = New(deps)
	return w
}

// silent are peers that don't answer before ctx ends.
type silent struct {
	ctx   context.Context
	asked chan id.Journal
}

func (s silent) Last(ctx context.Context, _ id.Store, j id.Journal) (uint64, error) {
	s.asked <- j
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s silent) ReadAt(context.Context, id.Store, id.Journal, []byte, wal.Pos) error {
	panic("not asked")
}

func (s silent) Entries(context.Context, id.Store, id.Journal, func(*wal.Entry) error) error {
	panic("not asked")
}

// put writes to etcd and waits until the view shows it.
func (w *world) put(ops ...metadata.Op) {
	w.t.Helper()
	rev, err := w.meta.Txn(w.t.Context(), nil, ops...)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, op := range ops {
		for _, prefix := range []string{schema.PrefixTopics, schema.PrefixOwners, schema.PrefixAgents, schema.PrefixJournals} {
			if !strings.HasPrefix(op.Key, prefix) {
				continue
			}
			if err := w.deps.View.Await(w.t.Context(), prefix, rev); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}
