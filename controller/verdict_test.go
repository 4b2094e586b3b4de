package controller

import (
	"context"
	"testing"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestLostLeaseIsNoDeath: an agent whose session ended but which answers keeps what it
// has, and goes on when it is registered again; only if it stays away from etcd for
// long is it replaced.
func TestLostLeaseIsNoDeath(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 3, 11, 1)
		w.control(3, 13, nil)
		w.within(time.Second, "slots are given", func() bool { return len(w.view.Slots()) == 8 })
		slots := w.view.Slots()
		for range 3 {
			w.lapse(1)
			w.holds(3*grace, "nothing is taken away", func() bool {
				for n, r := range w.view.Slots() {
					if r != slots[n] {
						return false
					}
				}
				return w.journal(11).State == schema.JournalOpen && w.head(id.Partition{Topic: topic}).Owner == 11
			})
			w.register(1, 11)
			w.within(time.Second, "served", func() bool { return w.served(topic, 3) })
		}
		w.lapse(1)
		took := w.within(time.Minute, "it is given up", func() bool { return w.served(topic, 3) })
		if took < strandedGraces*grace {
			t.Errorf("it was given up after %v", took)
		}
	})
}

// TestDeaths: an agent whose store refuses connections, or has another incarnation, is
// dead at once; one that is silent as soon as it had the time to answer.
func TestDeaths(t *testing.T) {
	for name, x := range map[string]struct {
		end   func(w *world)
		limit time.Duration
	}{
		"refused":  {func(w *world) { w.kill(1) }, 100 * time.Millisecond},
		"silent":   {func(w *world) { w.set(func() { w.member(1).down = context.DeadlineExceeded }); w.lapse(1) }, pingPatience + 100*time.Millisecond},
		"replaced": {func(w *world) { w.set(func() { w.member(1).incarnation = 21 }); w.lapse(1) }, 100 * time.Millisecond},
		"restarted": {func(w *world) {
			w.lapse(1)
			w.join(1, 21, 2, 1, 2, 3)
		}, 100 * time.Millisecond},
		"gone": {func(w *world) { w.set(func() { delete(w.peers.by, storeOf(1)) }); w.lapse(1) }, grace + 2*retryEvery},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.three()
				topic := w.topic(1, 3, 11, 1)
				c := w.control(3, 13, nil)
				w.within(time.Second, "elected", c.Active)
				x.end(w)
				w.within(x.limit, "served again", func() bool { return w.served(topic, 3) })
			})
		})
	}
}

// TestStoppedAgent: an incarnation whose journals are all sealed can't acknowledge
// anything: what it left behind is given away without asking it.
func TestStoppedAgent(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 3, 11, 1)
		c := w.control(3, 13, nil)
		w.within(time.Second, "elected", c.Active)
		w.txn(metadata.Delete(schema.JournalKey(journalOf(11)))) // sealed, tiered and forgotten
		w.set(func() { delete(w.peers.by, storeOf(1)) })
		w.lapse(1)
		w.within(50*time.Millisecond, "served again", func() bool { return w.served(topic, 3) })
	})
}

// TestHeadNewerThanPicture: what another got meanwhile isn't taken from it, data that
// is gone isn't made anew, and nothing is taken from a writer that the picture doesn't
// know yet.
func TestHeadNewerThanPicture(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 3, 11, 1)
		c := w.candidate(3, 13)
		w.within(time.Second, "seen", func() bool { return w.served(topic, 3) })
		heir, _ := w.view.Agent(3)
		at := id.Partition{Topic: topic}
		for name, o := range map[string]orphan{
			"another owner":    {at, clusterOwner(10, 1)},
			"it had none":      {at, clusterOwner(0, 0)},
			"its data is gone": {id.Partition{Topic: topic, Index: 9}, clusterOwner(11, 1)},
		} {
			if done, err := c.give(w.ctx, o, heir); done || err != nil {
				t.Errorf("%s: %v, %v", name, done, err)
			}
		}
		p := c.picture()
		delete(p.unsealed, 11) // the watch of the journals is late
		p.live, p.agents = p.live[1:], p.agents[1:]
		w.lapse(1)
		w.within(time.Second, "seen", func() bool { return !w.view.Alive(11, 1) })
		c.assignPartitions(w.ctx, p)
		if h := w.head(at); h.Owner != 11 || h.Epoch != 0 {
			t.Errorf("it was given to %d while its writer's journal is open", h.Owner)
		}
	})
}

// TestPeersAreAskedToo: an agent without a session that only the controller can't reach is
// not replaced, since a peer finds it, and goes on when it is registered again; but it is
// as soon as its peers don't find it either, or when it stays away from etcd for long.
func TestPeersAreAskedToo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 3, 11, 1)
		c := w.control(3, 13, nil)
		w.within(time.Second, "elected", c.Active)
		w.set(func() { w.member(1).hidden = true })
		for range 2 {
			w.lapse(1)
			w.holds(3*grace, "nothing is taken away", func() bool {
				return w.journal(11).State == schema.JournalOpen && w.head(id.Partition{Topic: topic}).Owner == 11
			})
			w.register(1, 11)
			w.within(time.Second, "served", func() bool { return w.served(topic, 3) })
		}
		w.lapse(1)
		w.holds(2*grace, "nothing is taken away", func() bool { return w.journal(11).State == schema.JournalOpen })
		w.set(func() { w.member(1).down = context.DeadlineExceeded })
		w.within(retryEvery+pingPatience+100*time.Millisecond, "served again", func() bool { return w.served(topic, 3) })
	})
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 3, 11, 1)
		w.control(3, 13, nil)
		w.set(func() { w.member(1).hidden = true })
		w.lapse(1)
		if took := w.within(time.Minute, "it is given up", func() bool { return w.served(topic, 3) }); took < strandedGraces*grace {
			t.Errorf("it was given up after %v", took)
		}
	})
}

// TestPeersSilentToo: peers that don't answer for the suspect, or not at all, don't make
// a verdict later.
func TestPeersSilentToo(t *testing.T) {
	for name, peer := range map[string]error{"they answer": nil, "they are silent": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.join(1, 11, 2, 1, 3, 4)
				w.join(2, 12, 2, 2, 3, 4)
				w.join(3, 13, 2, 3, 4, 1)
				w.join(4, 14, 2, 4, 3, 1)
				topic := w.topic(1, 3, 11, 1)
				c := w.control(3, 13, nil)
				w.within(time.Second, "elected", c.Active)
				w.set(func() { w.member(1).down, w.member(2).down = context.DeadlineExceeded, peer })
				w.lapse(1)
				w.within(pingPatience+100*time.Millisecond, "served again", func() bool { return w.served(topic, 3) })
			})
		})
	}
}
