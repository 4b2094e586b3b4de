package agent

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/wal"
)

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
	m := new(meddled).with(metadata.NewMemory().Open())
	defer m.Close()
	full := false
	disk := fillable(&full)
	a := &Agent{deps: Deps{Meta: m, Log: slog.New(slog.DiscardHandler)}, log: slog.New(slog.DiscardHandler), fatal: make(chan error, 1)}
	cfg := wal.DefaultConfig()
	cfg.Dir = "j"
	var err error
	if a.store, err = wal.Open(cfg, wal.Options{FS: disk, Log: a.log}); err != nil {
		t.Fatal(err)
	}
	defer a.store.Close()
	if a.seen, err = metadata.OpenSeen(disk, "j"); err != nil {
		t.Fatal(err)
	}
	j := id.Journal{Writer: 9, Seq: 1}
	if err := a.store.Join(j, wal.Membership{FileBytes: a.store.FileBytes()}); err != nil {
		t.Fatal(err)
	}
	put := func() metadata.Revision {
		rev, err := m.Store.Txn(t.Context(), nil, metadata.Put(metadata.AgentKey(1), metadata.Agent{Incarnation: 10}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	put()
	m.set(func(m *meddled) {
		m.listed = func() {
			before := a.seen.Newest()
			if err := a.seen.Check(before, put()); err != nil {
				t.Error(err)
			}
		}
	})
	if may, err := a.mayForget(t.Context(), j); err != nil || !may {
		t.Errorf("beside a registration: %v, %v", may, err)
	}
	m.set(func(m *meddled) { m.listed = nil })
	full = true
	put()
	if may, err := a.mayForget(t.Context(), j); err == nil || may {
		t.Errorf("with a full disk: %v, %v", may, err)
	}
	select {
	case err := <-a.fatal:
		t.Errorf("it ended: %v", err)
	default:
	}
}
