package agent

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestSessionOfTheGoneIsEnded: an agent whose process refuses connections loses its
// session, also if etcd was away when that was first tried; and again, if it had come back
// with another session in between.
func TestSessionOfTheGoneIsEnded(t *testing.T) {
	w := newWorld(t)
	w.meddle = new(meddled)
	one := w.start()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	var asked atomic.Int32
	w.meddle.set(func(m *meddled) {
		m.revoke = func(metadata.Lease) error {
			if asked.Add(1)%2 == 1 {
				return metadata.ErrUnavailable
			}
			return nil
		}
	})
	meta := w.meta.Open()
	defer meta.Close()
	other := schema.Agent{Incarnation: 900, Store: id.Store{9}, Peer: nobody}
	for range 2 {
		s, err := meta.Session(t.Context(), one.cfg.SessionTTL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := meta.Txn(t.Context(), nil, metadata.PutLeased(schema.AgentKey(9), other.Encode(), s.Lease())); err != nil {
			t.Fatal(err)
		}
		one.until("the other is seen", func() bool { _, ok := one.view.Store(other.Store); return ok })
		before := asked.Load()
		one.until("its session is ended", func() bool {
			one.near.lost(other.Store, errors.New("reset"))
			_, ok := one.view.Store(other.Store)
			return !ok
		})
		if n := asked.Load() - before; n != 2 {
			t.Errorf("etcd was asked %d times", n)
		}
		_ = s.Close(t.Context())
	}
	w.meddle.set(func(m *meddled) { m.revoke = nil })
}
