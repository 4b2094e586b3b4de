package agent

import (
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestOwnChangeIsNoReplacement: an agent that sees its journal sealed, by itself to go on
// with the next, goes on, though its writer has not moved yet.
func TestOwnChangeIsNoReplacement(t *testing.T) {
	w := newWorld(t)
	w.meddle = new(meddled)
	one := w.start()
	one.produce("t", 0, 10)
	old := one.own.ID()
	next := id.Journal{Writer: old.Writer, Seq: old.Seq + 1}
	looked := false
	w.meddle.set(func(m *meddled) {
		m.wrote = func(ops []metadata.Op, err error) error {
			if err == nil && puts(ops, schema.JournalKey(next)) != nil {
				one.until("the change is seen", func() bool { return one.view.Journals()[old].State == schema.JournalSealed })
				if err := one.own.Replaced(); err != nil {
					t.Error(err)
				}
				looked = one.own.ID() == old
			}
			return err
		}
	})
	if err := one.own.ChangeMembers(t.Context(), old, one.view.Journals()[old], []id.Store{one.store.ID()}); err != nil {
		t.Fatal(err)
	}
	w.meddle.set(func(m *meddled) { m.wrote = nil })
	if !looked {
		t.Error("it was not looked while the writer was at the former journal")
	}
	one.produce("t", 10, 20)
	one.consume("t", 20)
	if err := one.stop(); err != nil {
		t.Errorf("it ended: %v", err)
	}
}

// TestSealedByOthersIsTheEnd: one that sees its journal sealed, without a next one, was
// replaced.
func TestSealedByOthersIsTheEnd(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	j := one.own.ID()
	rec := one.view.Journals()[j].Journal
	rec.State = schema.JournalSealed
	if _, err := one.deps.Meta.Txn(t.Context(), nil, metadata.Put(schema.JournalKey(j), rec.Encode())); err != nil {
		t.Fatal(err)
	}
	if err := <-one.ended; !IsReplaced(err) {
		t.Errorf("it ended with %v", err)
	}
	close(one.ended)
}

// TestChangeThatOthersOvertook: the members' change took effect, but its answer was lost,
// and until etcd answered again others had recovered and forgotten both journals. What the
// disks took since the cut is not acknowledged: heirs have given its offsets to others.
func TestChangeThatOthersOvertook(t *testing.T) {
	w := newWorld(t)
	w.meddle = new(meddled)
	one := w.start()
	one.produce("t", 0, 10)
	p, old := one.owned.All()[0], one.own.ID()
	next := id.Journal{Writer: old.Writer, Seq: old.Seq + 1}
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: one.millis(), Value: []byte("v")}}, func(kafka.Batch) {})
	if err != nil {
		t.Fatal(err)
	}
	done := make(answer, 1)
	end := one.own.Writer().Committed()
	w.meddle.set(func(m *meddled) {
		m.wrote = func(ops []metadata.Op, err error) error {
			if err != nil || puts(ops, schema.JournalKey(next)) == nil {
				return err
			}
			if err := p.Append(t.Context(), b, one.millis(), id.NoEpoch, done); err != nil {
				t.Error(err)
			}
			one.until("the disk has it", func() bool { n, err := one.store.Last(old); return err == nil && n > end })
			return metadata.ErrUnavailable
		}
		m.read = func(key string) error {
			if key != schema.JournalKey(next) {
				return nil
			}
			_, err := m.Store.Txn(t.Context(), nil, metadata.Delete(key))
			return err
		}
	})
	if err := one.own.ChangeMembers(t.Context(), old, one.view.Journals()[old], []id.Store{one.store.ID()}); !IsReplaced(err) {
		t.Errorf("the change: %v", err)
	}
	if a := <-done; a.err == nil {
		t.Errorf("acknowledged at offset %d", a.base)
	}
	if high := p.State().High; high != 10 {
		t.Errorf("shown up to %d", high)
	}
	if err := <-one.ended; !IsReplaced(err) {
		t.Errorf("it ended with %v", err)
	}
	close(one.ended)
}

// TestPartitionComesBackLater: an owner that is given its own partition anew, in a later
// epoch, opens it anew with all that was written before: as the former one it would be
// refused by etcd for ever. The end of the former one doesn't touch the new one.
func TestPartitionComesBackLater(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	one.produce("t", 0, 100)
	if err := one.tier.flush(t.Context()); err != nil { // as before a hand-over
		t.Fatal(err)
	}
	former := one.owned.All()[0]
	key := schema.OwnerKey(former.ID())
	for range 2 {
		was := one.owned.All()[0].State().Epoch
		kv, err := one.deps.Meta.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		own, err := schema.DecodeOwnership(kv.Value)
		if err != nil {
			t.Fatal(err)
		}
		// It was another's in between, which wrote nothing.
		own.Give(one.inc+1000, 2)
		own.Chain = own.Chain[:len(own.Chain)-1]
		own.Give(one.inc, one.self)
		if _, err := one.deps.Meta.Txn(t.Context(), []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.Put(key, own.Encode())); err != nil {
			t.Fatal(err)
		}
		one.until("it is served in the later epoch", func() bool {
			p := one.owned.Get(former.ID())
			return p != nil && p.State().Epoch == was+2
		})
	}
	one.owned.Lose(former)
	if p := one.owned.Get(former.ID()); p == nil || p == former {
		t.Fatal("the end of the former one took the new one away")
	}
	one.produce("t", 100, 200)
	one.consume("t", 200)
}
