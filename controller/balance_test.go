package controller

import (
	"sync/atomic"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// obey makes the moves that are asked for, as owners do, until the test ends; it says
// how many were under way at most.
func (w *world) obey(took time.Duration) (most *atomic.Int64) {
	most = new(atomic.Int64)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			moves := w.view.Moves()
			most.Store(max(most.Load(), int64(len(moves))))
			time.Sleep(took)
			for p, m := range moves {
				a, live := w.view.Agent(m.To)
				if o, owned := w.view.Owner(p); owned && live && o.Broker != m.To {
					h := w.head(p)
					h.Give(a.Incarnation, a.Broker)
					w.txn(schema.StoredHead{Partition: p}.Ops(h)...)
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	w.t.Cleanup(func() { close(stop); <-done })
	return most
}

// TestNewAgentTakesItsShare: of partitions and slots, within seconds, in bounded steps,
// and then nothing moves any more.
func TestNewAgentTakesItsShare(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 1800, 0, 0)
		w.control(1, 11, nil)
		most := w.obey(100 * time.Millisecond)
		w.within(time.Second, "served", func() bool { return w.served(topic, 1800) })
		w.holds(10*time.Second, "nothing moves", func() bool { return len(w.view.Moves()) == 0 })
		w.join(4, 14, 2, 4, 1, 2)
		w.within(6*time.Second, "its share", func() bool { return w.owns(topic, 1800)[4] >= 360 })
		w.within(5*time.Second, "its slots", func() bool {
			n := 0
			for _, r := range w.view.Slots() {
				if r.Incarnation == 14 {
					n++
				}
			}
			return n == 2
		})
		w.within(5*time.Second, "wishes are gone", func() bool { return len(w.view.Moves()) == 0 })
		if n := most.Load(); n == 0 || n > movesAtOnce {
			t.Errorf("%d moves were under way at once", n)
		}
		owns := w.owns(topic, 1800)
		w.holds(30*time.Second, "nothing moves", func() bool { return len(w.view.Moves()) == 0 && w.owns(topic, 1800)[4] == owns[4] })
	})
}

// TestNoBalanceWhileRestless: nothing moves for balance while an agent is dying or
// leaving.
func TestNoBalanceWhileRestless(t *testing.T) {
	for name, disturb := range map[string]func(w *world){
		"leaving": func(w *world) { w.leaves(2, 12) },
		"dying":   func(w *world) { w.lapse(2) }, // it answers
		"coming":  func(w *world) { w.register(4, 14) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.three()
				w.topic(1, 100, 11, 1)
				for n := range 8 {
					w.txn(metadata.Put(schema.SlotKey(n), schema.Role{Incarnation: 11, Broker: 1}.Encode()))
				}
				disturb(w)
				c := w.control(3, 13, nil)
				w.within(time.Second, "elected", c.Active)
				w.holds(4*grace, "nothing moves", func() bool {
					for n := range 8 {
						if w.view.Slot(n).Incarnation != 11 {
							return false
						}
					}
					return len(w.view.Moves()) == 0
				})
			})
		})
	}
}

// TestDrain: a drained agent hands everything over and gets nothing until it is
// undrained.
func TestDrain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 30, 0, 0)
		w.control(1, 11, nil)
		w.obey(10 * time.Millisecond)
		w.within(time.Second, "served", func() bool { return w.served(topic, 30) })
		w.must(w.editor.SetDrained(w.ctx, 2, true))
		slots := func(b id.Broker) (n int) {
			for _, r := range w.view.Slots() {
				if r.Broker == b {
					n++
				}
			}
			return n
		}
		w.within(10*time.Second, "it has nothing", func() bool { return w.owns(topic, 30)[2] == 0 && slots(2) == 0 })
		more := w.topic(2, 10, 0, 0)
		w.within(time.Second, "served", func() bool { return w.served(more, 10) })
		if n := w.owns(more, 10)[2]; n != 0 {
			t.Errorf("it was given %d new partitions", n)
		}
		w.must(w.editor.SetDrained(w.ctx, 2, false))
		w.within(10*time.Second, "it has its share", func() bool { return w.owns(topic, 30)[2]+w.owns(more, 10)[2] >= 10 && slots(2) >= 2 })
	})
}

// TestUnrestDoesNotLastForEver: while an agent can't finish its start, a drained agent
// hands everything over at once, and after a while a new one gets its share.
func TestUnrestDoesNotLastForEver(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 90, 0, 0)
		w.register(5, 15) // and opens no journal
		w.control(1, 11, nil)
		w.obey(10 * time.Millisecond)
		w.within(time.Second, "served", func() bool { return w.served(topic, 90) })
		w.must(w.editor.SetDrained(w.ctx, 2, true))
		w.within(5*time.Second, "it has nothing", func() bool { return w.owns(topic, 90)[2] == 0 })
		w.join(4, 14, 2, 4, 1, 3)
		w.holds(unrestFor/2, "nothing moves", func() bool { return len(w.view.Moves()) == 0 && w.owns(topic, 90)[4] == 0 })
		w.within(unrestFor, "its share", func() bool { return w.owns(topic, 90)[4] >= 30 })
	})
}

// TestNothingIsAskedOfTheDead: partitions that no one serves don't count as those of the
// agent that has come back under the same broker id: it could move none of them.
func TestNothingIsAskedOfTheDead(t *testing.T) {
	agent := func(b id.Broker, i id.Incarnation) cluster.Live {
		return cluster.Live{Broker: b, Agent: schema.Agent{Incarnation: i}}
	}
	agents := []cluster.Live{agent(1, 21), agent(2, 12)}
	topic := id.Topic{1}
	p := &picture{live: agents, agents: agents, owners: map[id.Partition]cluster.Owner{}, topics: []*cluster.Topic{{Name: "t", Topic: schema.Topic{ID: topic, Partitions: 60}}}}
	for i := range int32(60) {
		p.owners[id.Partition{Topic: topic, Index: i}] = cluster.Owner{Incarnation: 11, Broker: 1}
	}
	if to := p.level(nil, 1, 1000); len(to) != 0 {
		t.Errorf("%d moves", len(to))
	}
}

// TestOperatorsPlacementStays: where an operator puts partitions they stay, until the
// agents that can take some are others.
func TestOperatorsPlacementStays(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		topic := w.topic(1, 90, 0, 0)
		w.control(1, 11, nil)
		w.obey(10 * time.Millisecond)
		w.holds(2*settleFor, "nothing moves", func() bool { return len(w.view.Moves()) == 0 })
		to := map[id.Partition]id.Broker{}
		for i := range int32(90) {
			to[id.Partition{Topic: topic, Index: i}] = 3
		}
		w.must(w.editor.ChangeMoves(w.ctx, to))
		w.within(5*time.Second, "moved", func() bool { return w.owns(topic, 90)[3] == 90 })
		w.holds(30*time.Second, "they stay", func() bool { return w.owns(topic, 90)[3] == 90 })
		w.join(4, 14, 2, 4, 1, 2)
		w.within(10*time.Second, "all have a share", func() bool { n := w.owns(topic, 90); return len(n) == 4 && n[3] < 30 })
	})
}

// TestMovesAreDropped: a wish goes when it came true, when its target is gone, stops
// or is drained, and when the topic is deleted.
func TestMovesAreDropped(t *testing.T) {
	for name, x := range map[string]struct {
		to  id.Broker
		end func(w *world)
	}{
		"came true": {1, func(w *world) {}},
		"dead":      {2, func(w *world) { w.kill(2) }},
		"stopping":  {2, func(w *world) { w.leaves(2, 12) }},
		"drained":   {2, func(w *world) { w.must(w.editor.SetDrained(w.ctx, 2, true)) }},
		"deleted":   {2, func(w *world) { w.txn(metadata.Delete(schema.TopicKey("t1"))) }},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.three()
				at := id.Partition{Topic: w.topic(1, 1, 11, 1)}
				if x.to != 1 {
					w.control(3, 13, nil)
				}
				w.must(w.editor.ChangeMoves(w.ctx, map[id.Partition]id.Broker{at: x.to}))
				if x.to != 1 {
					w.holds(5*time.Second, "it stays", func() bool { return len(w.view.Moves()) == 1 })
				} else {
					w.control(3, 13, nil)
				}
				x.end(w)
				w.within(time.Second, "it goes", func() bool { return len(w.view.Moves()) == 0 })
			})
		})
	}
}

// TestSkewNeedsTime: busy partitions leave an agent that has much more work than the
// others, but only when that lasts, and one that would only turn it around stays.
func TestSkewNeedsTime(t *testing.T) {
	for name, stuck := range map[string]bool{"at rest": false, "beside a move that nobody makes": true} {
		t.Run(name, func(t *testing.T) { inWorld(t, func(w *world) { w.skewed(stuck) }) })
	}
}

func (w *world) skewed(stuck bool) {
	t := w.t
	w.three()
	topic := w.topic(1, 4, 11, 1)
	other := w.topic(2, 4, 12, 2)
	w.topic(3, 4, 13, 3)
	hot := func(n int32, mib int64) schema.Hot {
		return schema.Hot{Partition: id.Partition{Topic: topic, Index: n}, Work: schema.Work{Bytes: mib << 20}}
	}
	tell := func(b id.Broker, l schema.Load) { w.txn(metadata.Put(schema.LoadKey(b), l.Encode())) }
	tell(2, schema.Load{Incarnation: 12, Total: schema.Work{Bytes: 20 << 20}})
	tell(3, schema.Load{Incarnation: 13, Total: schema.Work{Bytes: 30 << 20}})
	busy := schema.Load{Incarnation: 11, Total: schema.Work{Bytes: 130 << 20}, Hot: []schema.Hot{hot(0, 105), hot(1, 15), hot(2, 10)}}
	tell(1, busy)
	before, patience := 0, settleFor+skewFor
	if stuck {
		before, patience = 1, patience+unrestFor
		w.must(w.editor.ChangeMoves(w.ctx, map[id.Partition]id.Broker{{Topic: other}: 3}))
	}
	w.control(3, 13, nil)
	w.holds(settleFor+skewFor-time.Second, "nothing moves", func() bool { return len(w.view.Moves()) == before })
	w.within(patience-skewFor+5*time.Second, "busy ones are to go", func() bool { return len(w.view.Moves()) > before })
	for n, goes := range []bool{false, true, true, false} {
		m, ok := w.view.Moves()[id.Partition{Topic: topic, Index: int32(n)}]
		if ok != goes || goes && m.To != 2 {
			t.Errorf("busy partition %d: %v, to %d", n, ok, m.To)
		}
	}
}

// TestLevel: plans even shares from any state, counting what is under way.
func TestLevel(t *testing.T) {
	var agents []cluster.Live
	for b := range id.Broker(3) {
		agents = append(agents, cluster.Live{Broker: b + 1, Agent: schema.Agent{Incarnation: id.Incarnation(b + 11)}})
	}
	topic := id.Topic{1}
	p := &picture{live: agents, agents: agents, owners: map[id.Partition]cluster.Owner{}, moves: map[id.Partition]cluster.Move{},
		topics: []*cluster.Topic{{Name: "t", Topic: schema.Topic{ID: topic, Partitions: 90}}}}
	for i := range int32(90) {
		p.owners[id.Partition{Topic: topic, Index: i}] = cluster.Owner{Incarnation: 11, Broker: 1}
	}
	for i := range int32(10) {
		p.moves[id.Partition{Topic: topic, Index: i}] = cluster.Move{Move: schema.Move{To: 2}}
	}
	to := p.level(nil, 1, 1000)
	n := map[id.Broker]int{}
	for i := range int32(90) {
		at := id.Partition{Topic: topic, Index: i}
		if b, ok := to[at]; ok {
			n[b]++
		} else if m, ok := p.moves[at]; ok {
			n[m.To]++
		} else {
			n[1]++
		}
	}
	if n[1] != 30 || n[2] != 30 || n[3] != 30 || len(to) != 50 {
		t.Errorf("%d moves lead to %v", len(to), n)
	}
	if got := len(p.level(nil, 1, 7)); got != 7 {
		t.Errorf("%d moves where 7 are allowed", got)
	}
	if got := len(p.level(nil, 1, -3)); got != 0 {
		t.Errorf("%d moves where none is allowed", got)
	}
	if got := p.level(nil, 80, 100); len(got) != 0 {
		t.Errorf("%d moves within the slack", len(got))
	}
}
