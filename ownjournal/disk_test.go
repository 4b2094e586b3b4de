package ownjournal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
)

// meddled is an etcd at which a test does something between requests.
type meddled struct {
	metadata.Store
	read   func() // before a Get or List
	listed func() // after a List
}

func (m *meddled) Get(ctx context.Context, key string) (metadata.KV, error) {
	if m.read != nil {
		m.read()
	}
	return m.Store.Get(ctx, key)
}

func (m *meddled) List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error) {
	if m.read != nil {
		m.read()
	}
	kvs, rev, err := m.Store.List(ctx, prefix)
	if m.listed != nil {
		m.listed()
	}
	return kvs, rev, err
}

// newDisk opens a store in "j", and what is kept there of journals.
func newDisk(t *testing.T, fs vfs.FS, meta metadata.Store) *Disk {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	cfg := wal.DefaultConfig()
	cfg.Dir = "j"
	store, err := wal.Open(cfg, wal.Options{FS: fs, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	seen, err := metadata.OpenSeen(fs, "j")
	if err != nil {
		t.Fatal(err)
	}
	return NewDisk(Deps{Store: store, Meta: meta, Seen: seen, Log: log, Fatal: func(error) {}}, func() id.Journal { return id.Journal{} })
}

// TestNothingIsForgottenThatMayBeOpened: a member that finds a journal missing in etcd
// keeps what it has of it if the journal is opened at any moment while it looks (design
// page 0005, "forget"); what can't be opened any more it may drop.
func TestNothingIsForgottenThatMayBeOpened(t *testing.T) {
	const writer = 9
	first, next := id.Journal{Writer: writer, Seq: 1}, id.Journal{Writer: writer, Seq: 2}
	open := schema.Journal{State: schema.JournalOpen, Broker: 3, Quorum: 1, Ensemble: []id.Store{{1}}}
	sealed := open
	sealed.State = schema.JournalSealed
	registration := metadata.Put(schema.AgentKey(3), schema.Agent{Incarnation: writer}.Encode())
	for _, x := range []struct {
		name   string
		j      id.Journal
		prev   uint32
		before []metadata.Op   // what there is
		opens  [][]metadata.Op // the transactions that open it, and end what it relied on
		never  [][]metadata.Op // those that end it without opening it
	}{
		{"the writer's first", first, 0, []metadata.Op{registration},
			[][]metadata.Op{{metadata.Put(schema.JournalKey(first), open.Encode())}, {metadata.Delete(schema.AgentKey(3))}},
			[][]metadata.Op{{metadata.Delete(schema.AgentKey(3))}}},
		{"the next one", next, 1, []metadata.Op{registration, metadata.Put(schema.JournalKey(first), open.Encode())},
			[][]metadata.Op{{metadata.Put(schema.JournalKey(first), sealed.Encode()), metadata.Put(schema.JournalKey(next), open.Encode())}},
			[][]metadata.Op{{metadata.Put(schema.JournalKey(first), sealed.Encode())}}},
		{"the next one, its former forgotten", next, 1, []metadata.Op{registration, metadata.Put(schema.JournalKey(first), open.Encode())},
			[][]metadata.Op{{metadata.Put(schema.JournalKey(first), sealed.Encode()), metadata.Put(schema.JournalKey(next), open.Encode())}, {metadata.Delete(schema.JournalKey(first))}},
			[][]metadata.Op{{metadata.Delete(schema.JournalKey(first))}}},
	} {
		ask := func(at int, txns [][]metadata.Op) (may bool, reads int) {
			meta := metadata.NewMemory()
			m := &meddled{Store: meta.Open()}
			defer m.Close()
			d := newDisk(t, vfs.NewMemory(), m)
			if err := d.deps.Store.Join(x.j, wal.Membership{FileBytes: d.deps.Store.FileBytes(), Prev: x.prev}); err != nil {
				t.Fatal(err)
			}
			do := func(ops []metadata.Op) {
				if _, err := m.Store.Txn(t.Context(), nil, ops...); err != nil {
					t.Fatal(err)
				}
			}
			do(x.before)
			m.read = func() {
				if reads++; reads == at {
					for _, ops := range txns {
						do(ops)
					}
				}
			}
			may, err := d.mayForget(t.Context(), x.j)
			if err != nil {
				t.Fatal(err)
			}
			return may, reads
		}
		t.Run(x.name, func(t *testing.T) {
			for at := 1; ; at++ {
				may, reads := ask(at, x.opens)
				if may {
					t.Errorf("it may be forgotten although it is opened before read %d", at)
				}
				if reads < at {
					break
				}
			}
			if may, _ := ask(1, x.never); !may {
				t.Errorf("it is kept for ever: %v can't be opened any more", x.j)
			}
		})
	}
}

// fillable is a disk that may have no room for how far etcd has got.
func fillable(full *bool) *vfs.Memory {
	disk := vfs.NewMemory()
	disk.Fault = func(op, name string) error {
		if *full && strings.Contains(name, "etcd-revision") {
			return errors.New("no space left")
		}
		return nil
	}
	return disk
}

// TestLaterAnswerIsCheckedFirst: an agent registers anew while it looks whether a journal
// may be forgotten, and hears of that later. Neither that, nor a disk that can't note it,
// ends the agent.
func TestLaterAnswerIsCheckedFirst(t *testing.T) {
	m := &meddled{Store: metadata.NewMemory().Open()}
	defer m.Close()
	full := false
	disk := fillable(&full)
	d := newDisk(t, disk, m)
	d.deps.Fatal = func(err error) { t.Errorf("it ended: %v", err) }
	j := id.Journal{Writer: 9, Seq: 1}
	if err := d.deps.Store.Join(j, wal.Membership{FileBytes: d.deps.Store.FileBytes()}); err != nil {
		t.Fatal(err)
	}
	put := func() metadata.Revision {
		rev, err := m.Store.Txn(t.Context(), nil, metadata.Put(schema.AgentKey(1), schema.Agent{Incarnation: 10}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	put()
	m.listed = func() {
		before := d.deps.Seen.Newest()
		if err := d.deps.Seen.Check(before, put()); err != nil {
			t.Error(err)
		}
	}
	if may, err := d.mayForget(t.Context(), j); err != nil || !may {
		t.Errorf("beside a registration: %v, %v", may, err)
	}
	m.listed = nil
	full = true
	put()
	if may, err := d.mayForget(t.Context(), j); err == nil || may {
		t.Errorf("with a full disk: %v, %v", may, err)
	}
}

// TestReconcileDisk: copies are sealed where etcd says, and those that it doesn't know are
// looked at; the journal that is written here, and open ones, are left alone.
func TestReconcileDisk(t *testing.T) {
	j := func(writer id.Incarnation) id.Journal { return id.Journal{Writer: writer, Seq: 1} }
	rec := func(s schema.JournalState, last uint64) cluster.Journal {
		return cluster.Journal{Journal: schema.Journal{State: s, End: last}}
	}
	known := map[id.Journal]cluster.Journal{j(1): rec(schema.JournalSealed, 9), j(2): rec(schema.JournalOpen, 0), j(3): rec(schema.JournalSealed, 5), j(4): rec(schema.JournalSealed, 7)}
	copies := []kept{{j(1), false}, {j(2), false}, {j(3), false}, {j(4), true}, {j(5), false}, {j(6), true}}
	seal, drop := reconcileDisk(copies, known, j(1))
	if fmt.Sprint(seal) != fmt.Sprint([]end{{j(3), 5}}) || fmt.Sprint(drop) != fmt.Sprint([]id.Journal{j(5), j(6)}) {
		t.Errorf("seal %v, drop %v", seal, drop)
	}
	if _, drop := reconcileDisk([]kept{{j(7), false}}, known, j(7)); len(drop) > 0 {
		t.Errorf("the journal that is about to be opened would be dropped: %v", drop)
	}
}
