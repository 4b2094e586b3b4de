package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/wal"
)

// TestSwitchLeavesTheDeadBehind: ensembles change under load while members die. Every owner is
// told once, in order, and its append is below the end of a journal, on a quorum of members.
func TestSwitchLeavesTheDeadBehind(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			c := newCluster(t, 5)
			a := c.all[0]
			j := id.Journal{Writer: a.inc, Seq: 1}
			members := []int{0, 1, 2}
			pick := func() (ids []id.Store) {
				for _, i := range members {
					ids = append(ids, c.all[i].id())
				}
				return ids
			}
			w, err := a.node.Create(t.Context(), j, pick(), 2)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			l := newLoad(t)
			var loads sync.WaitGroup
			var stop atomic.Bool
			loads.Go(func() {
				for !stop.Load() && l.sent < 2000 {
					if err := l.add(t.Context(), w, 30+int(l.sent*37%6000)); err != nil {
						t.Error(err)
						return
					}
				}
			})
			ends, ensembles := map[id.Journal]uint64{}, map[id.Journal][]int{j: members}
			for change := range 4 {
				time.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
				victim := members[1+r.IntN(2)]
				c.net.setCut(c.all[victim].addr, true)
				rest := []int{}
				for i := 1; i < 5; i++ {
					if i != victim {
						rest = append(rest, i)
					}
				}
				r.Shuffle(len(rest), func(i, k int) { rest[i], rest[k] = rest[k], rest[i] })
				members = append([]int{0}, rest[:2]...)
				next := id.Journal{Writer: a.inc, Seq: uint32(change) + 2}
				err := a.node.Switch(t.Context(), w, next, pick(), 2, nil, func(end uint64) error {
					time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond) // a transaction
					ends[j] = end
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				j = next
				ensembles[j] = members
				c.net.setCut(c.all[victim].addr, false)
			}
			stop.Store(true)
			loads.Wait()
			l.n.Wait()
			l.check()
			if l.acked() != l.sent {
				t.Errorf("seed %d: %d of %d", seed, l.acked(), l.sent)
			}
			ends[j] = w.Committed()
			first := int64(0)
			for seq := uint32(1); seq <= 5; seq++ {
				at := id.Journal{Writer: a.inc, Seq: seq}
				c.until("the writer's disk has it", func() bool {
					n, err := a.store.Last(at)
					return err == nil && n >= ends[at]
				})
				next := l.held(a, at, ends[at], first)
				copies := 0
				for _, i := range ensembles[at] {
					if n, err := c.all[i].store.Last(at); err == nil && n >= ends[at] && l.held(c.all[i], at, ends[at], first) == next {
						copies++
					}
				}
				if copies < 2 {
					t.Errorf("seed %d: %v up to %d is on %d stores", seed, at, ends[at], copies)
				}
				first = next
			}
			if first != l.sent {
				t.Errorf("seed %d: the journals hold %d of %d appends", seed, first, l.sent)
			}
			l.mu.Lock()
			for n, p := range l.places {
				if p.num > ends[p.j] {
					t.Errorf("seed %d: append %d was told of entry %d of %v, which ends at %d", seed, n, p.num, p.j, ends[p.j])
				}
			}
			l.mu.Unlock()
		})
	}
}

// TestSwitchThatIsRefusedIsTheEnd: a recoverer that seals the journal during a change may end it
// where it was frozen. So no owner is told of what members acknowledged since.
func TestSwitchThatIsRefusedIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(2)
		a := c.all[0]
		l := newLoad(t)
		l.store(w, 50)
		next := id.Journal{Writer: a.inc, Seq: 2}
		refused := errors.New("somebody else has sealed it")
		err := a.node.Switch(t.Context(), w, next, c.ids(c.all...), 2, nil, func(end uint64) error {
			if end != w.Committed() {
				t.Errorf("sealed at %d, %d is committed", end, w.Committed())
			}
			l.many(w, 20)
			c.until("the members have more", func() bool {
				n, _ := c.all[1].store.Last(w.ID())
				return n > end
			})
			return refused
		})
		if !errors.Is(err, refused) || !errors.Is(w.Err(), refused) {
			t.Errorf("%v; the writer: %v", err, w.Err())
		}
		l.n.Wait()
		l.check()
		if l.acked() != 50 || l.sent != 70 || l.failed != 20 {
			t.Errorf("of %d, %d were told of before the end, %d that they failed", l.sent, l.acked(), l.failed)
		}
		if _, err := c.all[1].store.Joined(next); err != nil {
			t.Errorf("a member forgot the next journal, which may be open: %v", err)
		}
	})
}

// TestSlowDisksDoNotShow: one disk that hangs doesn't hold up commits, not even the writer's own.
func TestSlowDisksDoNotShow(t *testing.T) {
	for slow := range 3 {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, 0)
			var stuck atomic.Bool
			hold := make(chan struct{})
			for i := range 3 {
				disk := vfs.NewMemory()
				if i == slow {
					disk.Fault = func(op, name string) error {
						if stuck.Load() && op == "sync" && strings.Contains(name, ".wal") {
							<-hold
						}
						return nil
					}
				}
				c.all = append(c.all, c.start("agent-"+string(rune('0'+i)), disk))
			}
			w := c.create(2)
			l := newLoad(t)
			l.store(w, 20)
			c.until("there is a file to go on with", func() bool { return len(c.all[slow].disk.Names("00000001.wal")) == 1 })
			stuck.Store(true)
			for range 20 {
				began := time.Now()
				l.store(w, 2)
				if took := time.Since(began); took > 10*time.Millisecond {
					t.Errorf("an append took %v", took)
				}
			}
			time.Sleep(10 * time.Second)
			for _, m := range c.all[0].node.Members(w.ID()) {
				if slow := m.Store == c.all[slow].id(); slow != (m.LagEntries > 0) || !m.Own && m.Connected.IsZero() {
					t.Errorf("slow %v: %+v", slow, m)
				}
			}
			stuck.Store(false)
			close(hold)
			c.until("it caught up", func() bool { return c.all[0].node.Members(w.ID())[slow].LagEntries == 0 })
			l.check()
		})
	}
}

// TestLeftJournalReachesItsMembers: a member that lags at a switch still gets the last entries of
// the old journal.
func TestLeftJournalReachesItsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		var stuck atomic.Bool
		hold := make(chan struct{})
		disk := vfs.NewMemory()
		disk.Fault = func(op, name string) error {
			if stuck.Load() && op == "sync" && strings.Contains(name, "1-1.") {
				<-hold
			}
			return nil
		}
		c.all = append(c.all, c.start("agent-2", disk))
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 5)
		c.until("there is a file to go on with", func() bool { return len(disk.Names("00000001.wal")) == 1 })
		stuck.Store(true)
		for range 20 {
			l.store(w, 1)
		}
		old, end := w.Tip()
		next := id.Journal{Writer: old.Writer, Seq: 2}
		if err := c.all[0].node.Switch(t.Context(), w, next, c.ids(c.all[:2]...), 2, nil, func(uint64) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if n := c.all[0].node.Members(old)[2].Durable; n >= end {
			t.Fatalf("it had %d of %d already", n, end)
		}
		stuck.Store(false)
		close(hold)
		c.until("it has all of the old journal", func() bool {
			n, err := c.all[2].store.Last(old)
			return err == nil && n == end
		})
		a := c.all[0]
		if err := a.node.Seal(t.Context(), a.id(), old, end); err != nil {
			t.Fatal(err)
		}
		if n := len(a.node.written.all()); n != 2 {
			t.Errorf("%d journals are replicated before the old one is dropped", n)
		}
		for _, j := range []id.Journal{old, next} {
			if err := a.node.Drop(t.Context(), a.id(), j); err != nil {
				t.Fatal(err)
			}
		}
		if all := a.node.written.all(); len(all) != 1 || all[0].id != next {
			t.Errorf("%d journals are remembered after the old one was dropped", len(all))
		}
		l.check()
	})
}

// TestFullDiskOfAMember: a member with a full disk lags and reports why. Its process continues.
func TestFullDiskOfAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.cfg.HardBytes = 2 << 20
		c.cfg.SoftBytes = 1 << 20
		c.all = append(c.all, c.start("agent-2", vfs.NewMemory()))
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 1000)
		c.until("it says why", func() bool {
			return errors.Is(c.all[0].node.Members(w.ID())[2].Err, wal.ErrFull)
		})
		if len(c.all[2].died) > 0 {
			t.Error("its process died")
		}
		c.all[0].node.Trim(w.ID(), ^wal.Pos(0), w.Committed())
		c.until("its journal is trimmed and goes on", func() bool {
			return c.all[0].node.Members(w.ID())[2].Err == nil || c.all[0].store.Floor(w.ID()) > 0
		})
		l.check()
	})
}

// TestTrimReachesMembers: files that the writer no longer needs are removed on all members.
func TestTrimReachesMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 500)
		for _, a := range c.all {
			c.until("all have it", func() bool { n, _ := a.store.Last(w.ID()); return n == w.Committed() })
		}
		c.all[0].node.Trim(w.ID(), ^wal.Pos(0), w.Committed())
		for _, a := range c.all {
			c.until("it is trimmed", func() bool { return a.store.Floor(w.ID()) > wal.First })
		}
		l.store(w, 50)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.all[1].node.ReadAt(ctx, c.all[2].id(), w.ID(), make([]byte, 100), wal.First); !errors.Is(err, wal.ErrGone) {
			t.Errorf("a place that was trimmed: %v", err)
		}
	})
}

// lagLabels returns the labels of all series of members.
func lagLabels(t *testing.T, n *Node) (all []map[string]string) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(lagCollector{n.written, n.endpoint.deps})
	families, err := r.Gather()
	if err != nil || len(families) != 3 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			all = append(all, labels)
		}
	}
	return all
}

// TestSwitchOnlyAtAGoodMoment: if ready fails, commits have not stopped, the journal continues,
// and the next one is dropped.
func TestSwitchOnlyAtAGoodMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 20)
		next, away := id.Journal{Writer: c.all[0].inc, Seq: 2}, errors.New("etcd is away")
		err := c.all[0].node.Switch(t.Context(), w, next, c.ids(c.all[:2]...), 2, func() error {
			l.store(w, 20)
			return away
		}, func(uint64) error { t.Error("sealed all the same"); return nil })
		if !errors.Is(err, away) || w.ID().Seq != 1 {
			t.Errorf("the writer is at %v: %v", w.ID(), err)
		}
		l.store(w, 20)
		for _, x := range c.all {
			c.until("the next journal is forgotten", func() bool {
				_, err := x.store.Joined(next)
				return errors.Is(err, wal.ErrUnknown)
			})
		}
		if err := c.all[0].node.Switch(t.Context(), w, id.Journal{Writer: c.all[0].inc, Seq: 3}, c.ids(c.all[0]), 1, nil, func(uint64) error { return nil }); err != nil {
			t.Error(err) // and alone
		}
		l.store(w, 20)
		for _, labels := range lagLabels(t, c.all[0].node) { // journals that were replaced have no series
			if labels["journal"] != w.ID().String() || labels["store"] == "" || labels["broker"] == "" {
				t.Errorf("a series of %v beside journal %v", labels, w.ID())
			}
		}
		l.check()
	})
}

// TestTrimOfALeftJournal: a writer's trims count until its journal is fenced or sealed. After
// that its heirs decide: their tails may reach further back than the writer knew.
func TestTrimOfALeftJournal(t *testing.T) {
	fence := func(s *wal.Store, j id.Journal) error {
		_, err := s.Fence(j, 7)
		return err
	}
	seal := func(s *wal.Store, j id.Journal) error {
		last, err := s.Last(j)
		if err != nil {
			return err
		}
		return s.Seal(j, last)
	}
	for what, x := range map[string]struct {
		at  int
		end func(s *wal.Store, j id.Journal) error
	}{"fenced": {1, fence}, "sealed": {1, seal}, "fenced at the writer": {0, fence}, "sealed at the writer": {0, seal}} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 3)
				w := c.create(2)
				l := newLoad(t)
				l.store(w, 500)
				for _, a := range c.all {
					c.until("all have it", func() bool { n, _ := a.store.Last(w.ID()); return n == w.Committed() })
				}
				if err := x.end(c.all[x.at].store, w.ID()); err != nil {
					t.Fatal(err)
				}
				c.all[0].node.Trim(w.ID(), ^wal.Pos(0), w.Committed())
				c.until("the others trim", func() bool { return c.all[2].store.Floor(w.ID()) > wal.First })
				time.Sleep(10 * c.rep.Heartbeat) // fake time
				synctest.Wait()
				if n, _, err := c.all[x.at].store.First(w.ID()); err != nil || n != 1 {
					t.Errorf("it begins with entry %d, %v", n, err)
				}
			})
		})
	}
}
