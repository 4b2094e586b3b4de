package controller

import (
	"errors"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestForgetting: a sealed journal of a dead writer is forgotten once no head's chain
// names the writer, not before; and none while a head can't be read.
func TestForgetting(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		w.wrote(11, map[id.Broker]uint64{1: 5, 2: 5, 3: 5})
		topic := w.topic(1, 2, 11, 1)
		w.control(3, 13, nil)
		w.kill(1)
		w.within(time.Second, "served again", func() bool { return w.served(topic, 2) })
		known := func() bool { _, ok := w.view.Journals()[journalOf(11)]; return ok }
		tiered := func(i int32) { // its owner stored what it adopted
			p := id.Partition{Topic: topic, Index: i}
			h := w.head(p)
			h.TieredEnd = 100
			h.Settle(func(id.Epoch) int64 { return 100 })
			w.txn(schema.StoredHead{Partition: p}.Ops(h)...)
		}
		tiered(0)
		w.holds(3*forgetEvery, "a chain names the writer", known)
		bad := id.Partition{Topic: id.Topic{9}}
		w.txn(metadata.Put(schema.OwnerKey(bad), []byte{99}))
		tiered(1)
		w.holds(3*forgetEvery, "an ownership can't be read", known)
		w.txn(metadata.Delete(schema.OwnerKey(bad)))
		w.within(2*forgetEvery, "forgotten", func() bool { return !known() })
		for _, i := range []id.Incarnation{12, 13} {
			if s := w.journal(i).State; s != schema.JournalOpen {
				t.Errorf("the journal of %d is %v", i, s)
			}
		}
	})
}

// TestSealedJournalOfTheLiving: what a live writer sealed is its own to forget.
func TestSealedJournalOfTheLiving(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		old := id.Journal{Writer: 11, Seq: 9}
		rec := schema.Journal{State: schema.JournalSealed, Broker: 1, Ensemble: []id.Store{storeOf(1)}, Quorum: 1, End: 4}
		w.txn(metadata.Put(schema.JournalKey(old), rec.Encode()))
		w.control(3, 13, nil)
		w.holds(3*forgetEvery, "it is known", func() bool { _, ok := w.view.Journals()[old]; return ok })
	})
}

// TestUndecidedJournal: a journal that isn't sealed yet is not forgotten, even if no
// head names its writer.
func TestUndecidedJournal(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		w.wrote(11, map[id.Broker]uint64{1: 5, 2: 5, 3: 5})
		w.set(func() { delete(w.member(2).journals, journalOf(11)) })
		w.control(3, 13, nil)
		w.kill(1)
		w.holds(4*forgetEvery, "it is known", func() bool { _, ok := w.view.Journals()[journalOf(11)]; return ok })
	})
}

// TestAcceptLoss: a journal of which too few members are left ends where the longest
// of them does, if an operator confirms it; partitions are served again then.
func TestAcceptLoss(t *testing.T) {
	for name, x := range map[string]struct {
		lose  func(w *world)
		kept  uint64
		whole bool
		gone  bool
	}{
		"one member left": {func(w *world) { delete(w.member(2).journals, journalOf(11)) }, 4, false, false},
		"none left": {func(w *world) {
			delete(w.member(2).journals, journalOf(11))
			delete(w.member(3).journals, journalOf(11))
		}, 0, false, true},
		"enough left": {func(*world) {}, 10, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.three()
				w.wrote(11, map[id.Broker]uint64{1: 10, 2: 10, 3: 4})
				topic := w.topic(1, 3, 11, 1)
				w.topic(2, 4, 12, 2)
				w.set(func() { x.lose(w) })
				c := w.candidate(2, 12) // any agent may do it
				if _, err := c.AcceptLoss(w.ctx, journalOf(12)); !errors.Is(err, cluster.ErrNoLoss) {
					t.Errorf("the journal of a live agent was given up: %v", err)
				}
				w.set(func() { w.member(2).down = errors.New("connection timed out") })
				if _, err := c.AcceptLoss(w.ctx, journalOf(12)); !errors.Is(err, cluster.ErrNoLoss) {
					t.Errorf("the journal of a registered agent was given up: %v", err)
				}
				w.set(func() { w.member(2).down = nil })
				w.lapse(1)
				if _, err := c.AcceptLoss(w.ctx, journalOf(11)); !errors.Is(err, cluster.ErrNoLoss) {
					t.Errorf("the journal of an agent that answers was given up: %v", err)
				}
				w.kill(1)
				if !x.whole { // else it would be quicker
					w.control(3, 13, nil)
				}
				w.holds(9*time.Second, "partitions wait", func() bool { return !w.served(topic, 3) })
				cost, err := c.LossCost(w.ctx, journalOf(11))
				if err != nil || len(cost.Partitions) != 3 {
					t.Errorf("cost %+v, %v", cost, err)
				}
				if !x.whole { // one that lives, and may have more, is heard first
					w.set(func() { w.member(3).down = errors.New("connection reset") })
					if l, err := c.AcceptLoss(w.ctx, journalOf(11)); err == nil || errors.Is(err, cluster.ErrNoLoss) {
						t.Errorf("agent 3 was not heard: %+v, %v", l, err)
					}
					if rec := w.journal(11); rec.State == schema.JournalSealed {
						t.Errorf("the journal was sealed at %d", rec.End)
					}
					w.set(func() { w.member(3).down = nil })
				}
				l, err := c.AcceptLoss(w.ctx, journalOf(11))
				if err != nil || l.Kept != x.kept || l.Gone != x.gone || l.Whole != x.whole {
					t.Fatalf("%+v, %v", l, err)
				}
				if x.whole {
					w.control(3, 13, nil)
				}
				w.within(5*time.Second, "served again", func() bool { return w.served(topic, 3) })
				if rec := w.journal(11); rec.State != schema.JournalSealed || rec.End != x.kept || rec.Lost != !x.whole {
					t.Errorf("the journal is %v at %d, lost %v", rec.State, rec.End, rec.Lost)
				}
				if _, err := c.AcceptLoss(w.ctx, journalOf(11)); !errors.Is(err, cluster.ErrNoLoss) {
					t.Errorf("once more: %v", err)
				}
			})
		})
	}
}

// TestAcceptLossOfSealed: of a sealed journal that no live agent has all of, what is
// left is kept; if one has all of it nothing may be given up.
func TestAcceptLossOfSealed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		w.wrote(11, map[id.Broker]uint64{1: 10, 2: 10, 3: 4})
		rec := w.journal(11)
		rec.State, rec.End = schema.JournalSealed, 10
		w.txn(metadata.Put(schema.JournalKey(journalOf(11)), rec.Encode()))
		w.kill(1)
		c := w.candidate(3, 13)
		if _, err := c.AcceptLoss(w.ctx, journalOf(11)); !errors.Is(err, cluster.ErrNoLoss) {
			t.Errorf("store 2 has all of it: %v", err)
		}
		if got := w.journal(11); got.State != schema.JournalSealed || got.End != 10 {
			t.Errorf("now it is %v at %d", got.State, got.End)
		}
		rec = w.journal(11)
		rec.Holders = []id.Store{storeOf(4)} // of a recovery
		w.txn(metadata.Put(schema.JournalKey(journalOf(11)), rec.Encode()))
		w.set(func() { w.member(4).journals[journalOf(11)] = &kept{last: 10} })
		w.kill(2)
		if _, err := c.AcceptLoss(w.ctx, journalOf(11)); !errors.Is(err, cluster.ErrNoLoss) {
			t.Errorf("store 4 has all of it: %v", err)
		}
		w.set(func() { delete(w.peers.by, storeOf(4)) })
		l, err := c.AcceptLoss(w.ctx, journalOf(11))
		if err != nil || l.Kept != 4 || l.Gone || l.Whole {
			t.Errorf("%+v, %v", l, err)
		}
		if got := w.journal(11); got.End != 4 || !got.Lost || len(got.Keepers()) != 1 || got.Ensemble[0] != storeOf(3) {
			t.Errorf("now it is %+v", got)
		}
	})
}
