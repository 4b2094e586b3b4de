package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

var errCrashed = errors.New("the controller's process is gone")

// TestRecoveryGoesOn: a controller dies before or after any of its writes and calls;
// another goes on, the end is what was acknowledged, Q members hold all of it, and each
// partition and slot gets one heir (docs/design/0005).
func TestRecoveryGoesOn(t *testing.T) {
	for n := 0; ; n++ {
		steps := 0
		t.Run(fmt.Sprint("dies at step ", n), func(t *testing.T) {
			inWorld(t, func(w *world) { steps = w.recoverDyingAt(n) })
		})
		if steps <= n || t.Failed() {
			if n < 12 {
				t.Errorf("only %d steps were tried", n)
			}
			return
		}
	}
}

// recoverDyingAt crashes the first controller at its nth step after a death, and returns
// how many steps there were.
func (w *world) recoverDyingAt(n int) (steps int) {
	t := w.t
	w.three()
	w.wrote(11, map[id.Broker]uint64{1: 11, 2: 10, 3: 7}) // 10 are acknowledged, by 1 and 2
	topic := w.topic(1, 20, 11, 1)
	var mu sync.Mutex
	var one *running
	begun := false
	step := func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if !begun {
			return nil
		}
		if steps++; steps > n {
			one.crash()
			return errCrashed
		}
		return nil
	}
	one = w.control(2, 12, step)
	w.within(time.Second, "elected", one.Active)
	w.within(time.Second, "slots are given", func() bool { return len(w.view.Slots()) == 8 })
	w.control(3, 13, nil)
	mu.Lock()
	begun = true
	mu.Unlock()
	w.kill(1)
	w.within(5*time.Second, "served again", func() bool { return w.served(topic, 20) })
	w.within(5*time.Second, "slots are served again", func() bool {
		for n := range 8 {
			if r := w.view.Slot(n); !w.view.Alive(r.Incarnation, r.Broker) {
				return false
			}
		}
		return true
	})
	mu.Lock()
	begun = false
	mu.Unlock()
	rec := w.journal(11)
	if rec.State != schema.JournalSealed || rec.End != 10 {
		t.Errorf("the journal is %v at %d", rec.State, rec.End)
	}
	for _, b := range []id.Broker{2, 3} {
		k := w.holdings(b, 11)
		if k.last < 10 || k.fence == 0 {
			t.Errorf("store of %d holds %d entries, fenced at %d", b, k.last, k.fence)
		}
	}
	for i := range int32(20) {
		h := w.head(id.Partition{Topic: topic, Index: i})
		if h.Epoch != 1 || len(h.Chain) != 2 || h.Chain[0].Writer != 11 || h.Owner == 11 {
			t.Errorf("partition %d: %+v", i, h)
		}
	}
	return steps
}

// TestTooFewAnswers: with fewer than W-Q+1 answers a journal waits and its partitions
// with it; a wiped store and an unreachable one are no answers, and not "empty" ones.
func TestTooFewAnswers(t *testing.T) {
	for name, hurt := range map[string]func(m *member){
		"wiped":       func(m *member) { delete(m.journals, journalOf(11)) },
		"unreachable": func(m *member) { m.down = syscall.EHOSTUNREACH },
		"silent":      func(m *member) { m.down = context.DeadlineExceeded },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.three()
				w.wrote(11, map[id.Broker]uint64{1: 10, 2: 10, 3: 4})
				topic := w.topic(1, 3, 11, 1)
				c := w.control(3, 13, nil)
				var held *kept
				w.set(func() {
					hurt(w.member(2))
					held = w.member(2).journals[journalOf(11)]
				})
				w.kill(1)
				w.within(30*time.Second, "it says what it waits for", func() bool { return c.Waiting()[journalOf(11)] != "" })
				w.holds(30*time.Second, "nothing is decided", func() bool {
					return w.journal(11).State != schema.JournalSealed && !w.served(topic, 3)
				})
				w.set(func() {
					if held == nil {
						w.member(1).down = nil // the writer's store comes back, with another agent
						w.member(1).incarnation = 21
					} else {
						w.member(2).down = nil
					}
				})
				w.within(30*time.Second, "served again", func() bool { return w.served(topic, 3) })
				if end := w.journal(11).End; end != 10 {
					t.Errorf("it ends at %d", end)
				}
				if why := c.Waiting(); len(why) != 0 {
					t.Errorf("still waits: %v", why)
				}
			})
		})
	}
}

// TestNeverSealedOnFewer: the end isn't decided before enough members hold everything
// up to it, and copies go to fenced members only.
func TestNeverSealedOnFewer(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		w.wrote(11, map[id.Broker]uint64{1: 10, 2: 10, 3: 4})
		topic := w.topic(1, 3, 11, 1)
		w.control(3, 13, nil)
		w.set(func() { w.member(3).copyFails = errors.New("no space left on device") })
		w.kill(1)
		w.holds(20*time.Second, "nothing is decided", func() bool {
			return w.journal(11).State != schema.JournalSealed && !w.served(topic, 3)
		})
		w.set(func() { w.member(3).copyFails = nil })
		w.within(recoverPauseMax+5*time.Second, "served again", func() bool { return w.served(topic, 3) })
		if k := w.holdings(3, 11); k.last != 10 {
			t.Errorf("the third store holds %d entries", k.last)
		}
	})
}

// TestVainRecoveriesAreRare: a recovery that can't succeed isn't tried again and again:
// with too few members nothing is written anywhere, and where members answer but it
// fails, ever more rarely; until an agent comes.
func TestVainRecoveriesAreRare(t *testing.T) {
	for name, hurt := range map[string]func(m *member){
		"unreachable":   func(m *member) { m.down = syscall.EHOSTUNREACH },
		"copying fails": func(m *member) { m.copyFails = errors.New("no space left on device") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.three()
				w.wrote(11, map[id.Broker]uint64{1: 10, 2: 10, 3: 4})
				topic := w.topic(1, 3, 11, 1)
				c := w.control(2, 12, nil)
				w.set(func() { hurt(w.member(3)) })
				w.kill(1)
				w.within(30*time.Second, "it says what it waits for", func() bool { return c.Waiting()[journalOf(11)] != "" })
				mods := map[metadata.Revision]bool{}
				w.holds(2*time.Minute, "nothing is decided", func() bool {
					mods[w.view.Journals()[journalOf(11)].Mod] = true
					return w.journal(11).State != schema.JournalSealed
				})
				if most := 20; len(mods) > most || name == "unreachable" && len(mods) > 1 {
					t.Errorf("in two minutes the record had %d states, at most %d were to be", len(mods), most)
				}
				w.join(4, 14, 1, 4)
				if name == "unreachable" {
					w.set(func() { w.member(3).down = nil })
					w.within(recoverPauseMax+time.Second, "served again", func() bool { return w.served(topic, 3) })
					return
				}
				w.within(2*time.Second, "the new agent is given what the other can't take", func() bool { return w.journal(11).State == schema.JournalSealed })
			})
		})
	}
}

// TestRecruits: where fewer than Q members are left, other stores are given all of the
// journal before its end is decided; one copy would be the only one.
func TestRecruits(t *testing.T) {
	for name, third := range map[string]bool{"a third store": true, "none": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.join(1, 11, 2, 1, 2)
				w.join(2, 12, 2, 2, 1)
				if third {
					w.join(3, 13, 1, 3)
				}
				w.wrote(11, map[id.Broker]uint64{1: 10, 2: 10})
				topic := w.topic(1, 2, 11, 1)
				w.control(2, 12, nil)
				w.kill(1)
				if !third {
					w.holds(20*time.Second, "nothing is decided", func() bool { return w.journal(11).State != schema.JournalSealed })
					return
				}
				w.within(10*time.Second, "sealed", func() bool { return w.journal(11).State == schema.JournalSealed })
				rec := w.journal(11)
				if rec.End != 10 || len(rec.Holders) != 1 || rec.Holders[0] != storeOf(3) {
					t.Errorf("%+v", rec)
				}
				if k := w.holdings(3, 11); k.last != 10 || k.fence == 0 {
					t.Errorf("the recruit holds %+v", k)
				}
				w.within(5*time.Second, "served again", func() bool { return w.served(topic, 2) })
			})
		})
	}
}

// TestLaterRecovererWins: of two that recover the same journal, the one that began
// later seals it; the other's copies and its seal are refused.
func TestLaterRecovererWins(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		w.wrote(11, map[id.Broker]uint64{1: 10, 2: 10, 3: 4})
		one := w.candidate(2, 12) // before: it runs for a moment, and would recover
		two := w.candidate(3, 13)
		w.kill(1)
		w.within(time.Second, "seen", func() bool { return !w.view.Alive(11, 1) })
		j := journalOf(11)
		overtaken := false
		one.peers.step = func(what string) error {
			if what != "copy" || overtaken {
				return nil
			}
			overtaken = true
			before := w.holdings(3, 11).fence
			synctest.Wait() // its view shows that the earlier one began
			end, err := two.recover(w.ctx, j, two.deps.View.Journals()[j])
			if err != nil || end != 10 {
				t.Errorf("the later recoverer: %d, %v", end, err)
			}
			if after := w.holdings(3, 11).fence; after <= before {
				t.Errorf("the later recoverer fenced at %d, the earlier at %d", after, before)
			}
			return nil
		}
		if end, err := one.recover(w.ctx, j, one.deps.View.Journals()[j]); err == nil {
			t.Errorf("the earlier recoverer sealed at %d", end)
		}
		if !overtaken {
			t.Error("nothing was copied")
		}
		if rec := w.journal(11); rec.State != schema.JournalSealed || rec.End != 10 {
			t.Errorf("the journal is %v at %d", rec.State, rec.End)
		}
	})
}

// TestSealIsGuarded: a controller that was overtaken after all members answered doesn't seal.
func TestSealIsGuarded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		w.wrote(11, map[id.Broker]uint64{1: 10, 2: 10, 3: 10})
		w.kill(1)
		c := w.candidate(2, 12)
		writes := 0
		c.deps.Store.(*crashing).step = func(what string) error {
			if what == "before a write" {
				if writes++; writes == 2 { // another begins, and got no further yet
					rec := w.journal(11)
					w.txn(metadata.Put(schema.JournalKey(journalOf(11)), rec.Encode()))
				}
			}
			return nil
		}
		if end, err := c.recover(w.ctx, journalOf(11), w.view.Journals()[journalOf(11)]); !errors.Is(err, metadata.ErrConflict) {
			t.Errorf("sealed at %d, %v", end, err)
		}
		if s := w.journal(11).State; s != schema.JournalRecovering {
			t.Errorf("the journal is %v", s)
		}
	})
}

// candidate is a controller that never runs, so is never elected: a test calls its parts.
func (w *world) candidate(b id.Broker, i id.Incarnation) *candidate {
	r, _ := w.controller(b, i, nil)
	r.cancel()
	close(r.ended)
	c := &candidate{Controller: r.Controller, peers: &stores{mu: w.peers.mu, by: w.peers.by}}
	c.deps.Peers = c.peers
	c.deps.View = w.view
	return c
}

type candidate struct {
	*Controller
	peers *stores
}

// TestFenceOfLaterRecoverer: a member that a later recoverer fenced ends the recovery,
// even if enough others answer.
func TestFenceOfLaterRecoverer(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		c := w.candidate(2, 12)
		w.lapse(1)
		w.within(time.Second, "seen", func() bool { return !w.view.Alive(11, 1) })
		j := journalOf(11)
		for _, b := range []id.Broker{1, 2, 3} {
			w.member(b).journals[j].fence = 1 << 40
		}
		if _, err := c.recover(w.ctx, j, w.view.Journals()[j]); err == nil {
			t.Error("a member that is fenced higher was overruled")
		}
		if s := w.journal(11).State; s == schema.JournalSealed {
			t.Error("the journal is sealed")
		}
	})
}

// TestHeirs: orphans go to agents that keep their tail, evenly, once.
func TestHeirs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.join(1, 11, 2, 1, 2, 3)
		for _, b := range []id.Broker{2, 3, 4, 5} {
			w.join(b, id.Incarnation(10+b), 1, b)
		}
		w.wrote(11, map[id.Broker]uint64{1: 5, 2: 5, 3: 5})
		topic := w.topic(1, 30, 11, 1)
		w.control(5, 15, nil)
		w.kill(1)
		w.within(time.Second, "served again", func() bool { return w.served(topic, 30) })
		if n := w.owns(topic, 30); n[2] != 15 || n[3] != 15 {
			t.Errorf("keepers of the tail are 2 and 3, owners are %v", n)
		}
	})
}

// TestNewPartitions: partitions that no one ever had are spread over live agents that
// have an open journal, aren't leaving and aren't drained.
func TestNewPartitions(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		w.join(4, 14, 1, 4)
		w.leaves(4, 14)
		w.join(5, 15, 1, 5)
		w.txn(metadata.Put(schema.DrainKey(5), schema.Drain{}.Encode()))
		w.register(6, 16) // it has no journal yet
		w.control(1, 11, nil)
		topic := w.topic(1, 30, 0, 0)
		w.within(time.Second, "served", func() bool { return w.served(topic, 30) })
		if n := w.owns(topic, 30); !slices.Equal(sorted(n), []int{10, 10, 10}) || n[1] != 10 {
			t.Errorf("owners: %v", n)
		}
		for i := range int32(30) {
			if h := w.head(id.Partition{Topic: topic, Index: i}); h.Epoch != 0 || len(h.Chain) != 1 || h.Chain[0].Start != 0 {
				t.Errorf("partition %d: %+v", i, h)
			}
		}
	})
}
