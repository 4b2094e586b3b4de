package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/wal"
)

// create opens the first journal of the cluster's first agent.
func (c *cluster) create(quorum int) *wal.Writer {
	c.t.Helper()
	a := c.all[0]
	w, err := a.node.Create(c.t.Context(), id.Journal{Writer: a.inc, Seq: 1}, c.ids(c.all...), quorum)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(w.Close)
	return w
}

// until waits until a condition holds, which must happen within a bounded time.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	for range 60000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond) // fake time
	}
	c.t.Fatalf("never: %s", what)
}

func TestEveryMemberHoldsWhatWasCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(2)
		l := newLoad(t)
		for range 10 {
			l.store(w, 50)
		}
		l.check()
		last := w.Committed()
		for _, a := range c.all {
			c.until("all have it", func() bool {
				n, err := a.store.Last(w.ID())
				return err == nil && n >= last
			})
			if got := l.held(a, w.ID(), last, 0); got != l.sent {
				t.Errorf("%s holds %d of %d appends", a.addr, got, l.sent)
			}
		}
		for _, m := range c.all[0].node.Members(w.ID()) {
			if m.Durable != last || m.LagBytes != 0 || !m.Own && m.Connected.IsZero() {
				t.Errorf("%+v", m)
			}
		}
		w.Close()
	})
}

// TestMembersCrash is promise 1: whichever member loses power, everything acknowledged is on Q
// disks, and members that return catch up.
func TestMembersCrash(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			c := newCluster(t, 3)
			w := c.create(2)
			l := newLoad(t)
			for range 8 {
				l.many(w, r.IntN(40))
				i := 1 + r.IntN(2)
				c.all[i] = c.all[i].crash(r)
				acked := l.acked()
				if n, err := c.all[i].store.Last(w.ID()); err != nil {
					t.Fatal(err)
				} else if got := l.held(c.all[i], w.ID(), n, 0); got < acked {
					// Then the others must have it: two of three.
					for _, a := range []*agent{c.all[0], c.all[3-i]} {
						if n, err := a.store.Last(w.ID()); err != nil || l.held(a, w.ID(), n, 0) < acked && a != c.all[0] {
							t.Fatalf("%d acked, %s has entries up to %d, %v", acked, a.addr, n, err)
						}
					}
				}
			}
			l.store(w, 10)
			l.check()
			last := w.Committed()
			for _, a := range c.all {
				c.until("all caught up", func() bool {
					n, err := a.store.Last(w.ID())
					return err == nil && n >= last
				})
				if got := l.held(a, w.ID(), last, 0); got != l.sent {
					t.Errorf("%s holds %d of %d appends", a.addr, got, l.sent)
				}
			}
			w.Close()
		})
	}
}

func TestCreateNamesWhoDidNotJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		a, gone := c.all[0], c.all[2].id()
		c.net.setCut("agent-2", true)
		_, err := a.node.Create(t.Context(), id.Journal{Writer: a.inc, Seq: 1}, c.ids(c.all...), 2)
		if !errors.Is(err, ErrUnreachable) || !contains(err, gone.String()) || contains(err, c.all[1].id().String()) {
			t.Errorf("%v", err)
		}
		if s := <-a.lost; s != gone {
			t.Errorf("lost %v", s)
		}
	})
}

func contains(err error, s string) bool { return err != nil && strings.Contains(err.Error(), s) }

// TestWipedStoreIsNoAnswer: a replaced disk is another store. It doesn't follow the journal or
// answer a fence, and never counts for the quorum.
func TestWipedStoreIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(3)
		l := newLoad(t)
		l.store(w, 30)
		was := c.all[2].id()
		c.net.reset("agent-2")
		c.all[2].close()
		c.all[2] = c.start("agent-2", vfs.NewMemory())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := c.all[1].node.Fence(ctx, was, w.ID(), 5); !errors.Is(err, ErrOtherStore) {
			t.Errorf("fence of the old store: %v", err)
		}
		if _, err := c.all[1].node.Fence(ctx, c.all[2].id(), w.ID(), 5); !errors.Is(err, wal.ErrUnknown) {
			t.Errorf("fence of the new store: %v", err)
		}
		before := w.Committed()
		if err := l.add(ctx, w, 100); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if w.Committed() != before {
			t.Error("committed with two of three members, three are the quorum")
		}
		w.Close()
	})
}

// TestZombieNeverCommits: after Q members were fenced, the writer commits nothing more and
// ends.
func TestZombieNeverCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(2)
		l := newLoad(t)
		l.many(w, 100)
		var end uint64
		for _, a := range c.all[1:] {
			last, err := c.all[2].node.Fence(t.Context(), a.id(), w.ID(), 9)
			if err != nil {
				t.Fatal(err)
			}
			end = max(end, last)
		}
		for l.add(t.Context(), w, 500) == nil {
			if l.sent > 5000 {
				t.Fatal("a fenced writer goes on for ever")
			}
			time.Sleep(time.Millisecond)
		}
		l.n.Wait()
		if got := w.Committed(); got > end {
			t.Errorf("committed entry %d, the fence says %d", got, end)
		}
		if err := w.Err(); !errors.Is(err, wal.ErrFenced) {
			t.Errorf("the writer says %v", err)
		}
		l.check()
		w.Close()
	})
}

// TestRecoveryKeepsWhatWasAcked plays the steps of a recovery, with crashes between
// them, competing recoverers, and a writer that doesn't know it is dead.
func TestRecoveryKeepsWhatWasAcked(t *testing.T) {
	for seed := range uint64(16) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			c := newCluster(t, 4) // the last is no member
			a := c.all[0]
			j := id.Journal{Writer: a.inc, Seq: 1}
			w, err := a.node.Create(t.Context(), j, c.ids(c.all[:3]...), 2)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			l := newLoad(t)
			for range 4 {
				l.many(w, r.IntN(60))
				if r.IntN(3) == 0 {
					c.net.reset("agent-1")
				}
				time.Sleep(time.Duration(r.IntN(3)) * 100 * time.Microsecond)
			}
			zombie := r.IntN(2) == 0
			if !zombie {
				w.Close()
				c.all[0] = a.crash(r)
			}
			answers := []int{0, 1, 2}
			r.Shuffle(3, func(i, k int) { answers[i], answers[k] = answers[k], answers[i] })
			answers = answers[:2]
			by := c.all[3].node
			var end, epoch uint64
			for try := 1; ; try++ {
				epoch = uint64(try)
				if end, err = recoverOnce(c, r, by, j, epoch, answers, try < 3); err == nil {
					break
				}
				if try > 3 {
					t.Fatal(err)
				}
			}
			for _, i := range answers {
				if err := by.Seal(t.Context(), c.all[i].id(), j, end); err != nil {
					t.Fatal(err)
				}
				got := l.held(c.all[i], j, end, 0)
				if acked := l.acked(); got < acked {
					t.Errorf("seed %d: %s holds %d appends, %d were acknowledged", seed, c.all[i].addr, got, acked)
				}
				var remote int64
				err := by.Entries(t.Context(), c.all[i].id(), j, func(e *wal.Entry) error {
					for k := range e.Records {
						b := make([]byte, e.Records[k].Size)
						if err := by.ReadAt(t.Context(), c.all[i].id(), j, b, e.Place(&e.Records[k])); err != nil {
							return err
						}
						remote++
					}
					return nil
				})
				if err != nil || remote != got {
					t.Errorf("seed %d: %d of %d appends over the network: %v", seed, remote, got, err)
				}
			}
			if zombie {
				err := error(nil)
				for err == nil && l.sent < 5000 {
					err = l.add(t.Context(), w, 100)
					time.Sleep(time.Millisecond)
				}
				w.Close()
				l.n.Wait()
				if got := w.Committed(); got > end {
					t.Errorf("seed %d: the zombie committed %d, the journal ends at %d", seed, got, end)
				}
			}
			l.check()
		})
	}
}

// recoverOnce does steps 2 to 4. With trouble, a member loses power in between, or a later
// recoverer competes.
func recoverOnce(c *cluster, r *rand.Rand, by *Node, j id.Journal, epoch uint64, answers []int, trouble bool) (end uint64, err error) {
	last := map[int]uint64{}
	for _, i := range answers {
		if last[i], err = by.Fence(c.t.Context(), c.all[i].id(), j, epoch); err != nil {
			return 0, err
		}
		end = max(end, last[i])
		if trouble && i != 0 && r.IntN(3) == 0 {
			c.all[i] = c.all[i].crash(r)
		}
	}
	best := answers[0]
	for _, i := range answers {
		if last[i] > last[best] {
			best = i
		}
	}
	if trouble && r.IntN(3) == 0 {
		if _, err := by.Fence(c.t.Context(), c.all[answers[1]].id(), j, epoch+1); err != nil {
			return 0, err
		}
		behind := answers[1]
		err := by.Copy(c.t.Context(), j, epoch, c.all[best].id(), c.all[behind].id(), end)
		if last[behind] < end && !errors.Is(err, wal.ErrFenced) {
			c.t.Errorf("a copy from below the fence: %v", err)
		}
		return 0, wal.ErrFenced
	}
	for _, i := range answers {
		if err := by.Copy(c.t.Context(), j, epoch, c.all[best].id(), c.all[i].id(), end); err != nil {
			return 0, err
		}
	}
	return end, nil
}

// TestSlowMemberDoesNotShow: a member that takes nothing doesn't hold up commits. It is reported
// as behind, and catches up when it comes back.
func TestSlowMemberDoesNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.all[0].node.endpoint.cfg.MaxLagBytes = 1 << 20
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 20)
		resume := c.net.stall("agent-2")
		l.store(w, 500)
		if got := l.acked(); got != l.sent {
			t.Errorf("%d of %d", got, l.sent)
		}
		lagging := func() Member { return c.all[0].node.Members(w.ID())[2] }
		changed := c.all[0].node.Changed()
		if !lagging().Behind {
			<-changed
		}
		c.until("it is reported", func() bool { return lagging().Behind && lagging().Connected.IsZero() })
		if m := lagging(); m.LagBytes < 1<<20 || m.Store != c.all[2].id() {
			t.Errorf("%+v", m)
		}
		resume()
		c.until("it caught up", func() bool { m := lagging(); return !m.Behind && m.LagEntries == 0 })
		if got := l.held(c.all[2], w.ID(), w.Committed(), 0); got != l.sent {
			t.Errorf("it holds %d of %d", got, l.sent)
		}
		w.Close()
	})
}

// TestSilenceIsNoticedByBothSides: the writer notices a member that is silent, and a member the
// writer.
func TestSilenceIsNoticedByBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 20)
		time.Sleep(10 * c.rep.Silence) // idle connections stay
		if len(c.all[0].lost)+len(c.all[1].lost) > 0 {
			t.Error("an idle connection was given up")
		}
		resume := c.net.stall("agent-1")
		began := time.Now()
		if s := <-c.all[0].lost; s != c.all[1].id() {
			t.Errorf("lost %v", s)
		}
		if s := <-c.all[1].lost; s != c.all[0].id() {
			t.Errorf("lost %v", s)
		}
		if took := time.Since(began); took > c.rep.Silence+2*c.rep.Heartbeat {
			t.Errorf("noticed after %v", took)
		}
		c.until("it is noted", func() bool { return c.all[0].node.Members(w.ID())[1].Connected.IsZero() })
		resume()
		c.until("it is back", func() bool { return !c.all[0].node.Members(w.ID())[1].Connected.IsZero() })
		for len(c.all[0].lost) > 0 {
			<-c.all[0].lost
		}
		c.net.reset("agent-1")
		if s := <-c.all[0].lost; s != c.all[1].id() {
			t.Errorf("lost %v", s)
		}
		w.Close()
	})
}

// TestRecruit: a store outside the ensemble takes a recoverer's copies, is fenced from
// its first moment, and can be recruited again by a later recoverer.
func TestRecruit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(3)
		l := newLoad(t)
		l.store(w, 40)
		j := w.ID()
		c.net.reset("agent-2")
		c.all[2].close()
		c.all[2] = c.start("agent-2", vfs.NewMemory())
		by, from, to := c.all[1].node, c.all[1].id(), c.all[2].id()
		for _, epoch := range []uint64{5, 7} {
			end, err := by.Fence(t.Context(), from, j, epoch)
			if err != nil {
				t.Fatal(err)
			}
			if err := by.Recruit(t.Context(), j, epoch, from, to, end); err != nil {
				t.Fatal(err)
			}
			if got := l.held(c.all[2], j, end, 0); got != l.held(c.all[1], j, end, 0) || got == 0 {
				t.Errorf("the recruit holds %d appends", got)
			}
			if _, err := by.Fence(t.Context(), to, j, epoch-1); !errors.Is(err, wal.ErrFenced) {
				t.Errorf("an earlier fence of the recruit: %v", err)
			}
		}
		w.Close()
	})
}

// TestHungDiskIsReported: a member whose disk hangs is reported as behind, though it is
// connected and entries are sent without a heartbeat in between.
func TestHungDiskIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		disk := vfs.NewMemory()
		var stuck atomic.Bool
		hold := make(chan struct{})
		disk.Fault = func(op, name string) error {
			if stuck.Load() && op == "sync" && strings.Contains(name, ".wal") {
				<-hold
			}
			return nil
		}
		c.all = append(c.all, c.start("agent-2", disk))
		c.all[0].node.endpoint.cfg.MaxLagBytes = 1 << 20
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 20)
		c.until("there is a file to go on with", func() bool { return len(disk.Names("00000001.wal")) == 1 })
		stuck.Store(true)
		for range 100 {
			l.store(w, 10)
		}
		c.until("it is reported", func() bool { return c.all[0].node.Members(w.ID())[2].Behind })
		stuck.Store(false)
		close(hold)
		c.until("it caught up", func() bool { return c.all[0].node.Members(w.ID())[2].LagEntries == 0 })
		c.until("it is reported no more", func() bool { return !c.all[0].node.Members(w.ID())[2].Behind })
		l.check()
	})
}

// TestCallsEnd: a request to a host that takes it and never answers fails after a while, whatever
// deadline the caller has, on a new connection and on one that was used before.
func TestCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		for _, warm := range []bool{false, true} {
			if warm {
				if _, err := c.all[0].node.Ping(t.Context(), c.all[1].id()); err != nil {
					t.Fatal(err)
				}
			}
			resume := c.net.stall("agent-1")
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			_, err := c.all[0].node.Ping(ctx, c.all[1].id())
			cancel()
			if took := time.Since(began); err == nil || took > callPatience {
				t.Errorf("warm %v: %v after %v", warm, err, took)
			}
			resume()
		}
	})
}
