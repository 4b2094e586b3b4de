package controller

import (
	"testing"
	"time"

	"varve/metadata"
	"varve/metadata/schema"
)

// TestElection: one of two candidates controls; when its session ends the other
// does, and one that stops in order hands over at once.
func TestElection(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		one := w.control(1, 11, nil)
		w.within(time.Second, "elected", one.Active)
		two := w.control(2, 12, nil)
		w.holds(5*time.Second, "only the first controls", func() bool { return one.Active() && !two.Active() })
		one.crash()
		w.within(time.Second, "the second is elected", two.Active)
		one.stop()
		three := w.control(3, 13, nil)
		w.holds(2*time.Second, "the third waits", func() bool { return !three.Active() })
		two.cancel()
		<-two.ended // its session lives on
		w.within(100*time.Millisecond, "the third is elected", three.Active)
		two.stop()
		three.stop()
	})
}

// TestUnregisteredDoesNotControl: an agent that isn't registered, or whose key is
// another's, is never elected.
func TestUnregisteredDoesNotControl(t *testing.T) {
	inWorld(t, func(w *world) {
		w.join(1, 11, 1, 1)
		stale := w.control(1, 10, nil)
		w.holds(3*time.Second, "an old incarnation stays out", func() bool { return !stale.Active() })
		if _, err := w.store.Get(w.ctx, schema.KeyController); err == nil {
			t.Error("somebody controls")
		}
		stale.stop()
	})
}

// TestElectionIsGuarded: of two that see no one control, one is elected.
func TestElectionIsGuarded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		one, two := w.candidate(1, 11), w.candidate(2, 12)
		w.txn(metadata.Delete(schema.KeyController))
		w.within(time.Second, "nobody controls", func() bool { return w.view.Controller().Incarnation == 0 })
		one.deps.Store.(*crashing).step = func(what string) error {
			if what == "before a write" && !two.elected(w.ctx) {
				t.Error("the quicker one is not elected")
			}
			return nil
		}
		if one.elected(w.ctx) {
			t.Error("both are elected")
		}
	})
}
