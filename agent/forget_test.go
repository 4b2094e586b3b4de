package agent

import (
	"log/slog"
	"testing"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/wal"
)

// TestNothingIsForgottenThatMayBeOpened: a member that finds a journal missing in etcd
// keeps what it has of it if the journal is opened at any moment while it looks (design
// page 0005, "forget"); what can't be opened any more it may drop.
func TestNothingIsForgottenThatMayBeOpened(t *testing.T) {
	const writer = 9
	first, next := id.Journal{Writer: writer, Seq: 1}, id.Journal{Writer: writer, Seq: 2}
	open := metadata.Journal{State: metadata.JournalOpen, Broker: 3, Quorum: 1, Ensemble: []id.Store{{1}}}
	sealed := open
	sealed.State = metadata.JournalSealed
	registration := metadata.Put(metadata.AgentKey(3), metadata.Agent{Incarnation: writer}.Encode())
	for _, x := range []struct {
		name   string
		j      id.Journal
		prev   uint32
		before []metadata.Op   // what there is
		opens  [][]metadata.Op // the transactions that open it, and end what it relied on
		never  [][]metadata.Op // those that end it without opening it
	}{
		{"the writer's first", first, 0, []metadata.Op{registration},
			[][]metadata.Op{{metadata.Put(metadata.JournalKey(first), open.Encode())}, {metadata.Delete(metadata.AgentKey(3))}},
			[][]metadata.Op{{metadata.Delete(metadata.AgentKey(3))}}},
		{"the next one", next, 1, []metadata.Op{registration, metadata.Put(metadata.JournalKey(first), open.Encode())},
			[][]metadata.Op{{metadata.Put(metadata.JournalKey(first), sealed.Encode()), metadata.Put(metadata.JournalKey(next), open.Encode())}},
			[][]metadata.Op{{metadata.Put(metadata.JournalKey(first), sealed.Encode())}}},
		{"the next one, its former forgotten", next, 1, []metadata.Op{registration, metadata.Put(metadata.JournalKey(first), open.Encode())},
			[][]metadata.Op{{metadata.Put(metadata.JournalKey(first), sealed.Encode()), metadata.Put(metadata.JournalKey(next), open.Encode())}, {metadata.Delete(metadata.JournalKey(first))}},
			[][]metadata.Op{{metadata.Delete(metadata.JournalKey(first))}}},
	} {
		ask := func(at int, txns [][]metadata.Op) (may bool, reads int) {
			meta := metadata.NewMemory()
			m := new(meddled).with(meta.Open())
			defer m.Close()
			a := &Agent{deps: Deps{Meta: m, Log: slog.New(slog.DiscardHandler)}, fatal: make(chan error, 1)}
			fs := vfs.NewMemory()
			cfg := wal.DefaultConfig()
			cfg.Dir = "j"
			var err error
			if a.store, err = wal.Open(cfg, wal.Options{FS: fs, Log: a.deps.Log}); err != nil {
				t.Fatal(err)
			}
			defer a.store.Close()
			if a.seen, err = metadata.OpenSeen(fs, "j"); err != nil {
				t.Fatal(err)
			}
			if err := a.store.Join(x.j, wal.Membership{FileBytes: a.store.FileBytes(), Prev: x.prev}); err != nil {
				t.Fatal(err)
			}
			do := func(ops []metadata.Op) {
				if _, err := m.Store.Txn(t.Context(), nil, ops...); err != nil {
					t.Fatal(err)
				}
			}
			do(x.before)
			m.set(func(m *meddled) {
				m.read = func(string) error {
					if reads++; reads == at {
						for _, ops := range txns {
							do(ops)
						}
					}
					return nil
				}
			})
			if may, err = a.mayForget(t.Context(), x.j); err != nil {
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
