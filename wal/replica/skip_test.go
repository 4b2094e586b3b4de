package replica

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/wal"
)

// skips returns how often this agent told a store to skip.
func (a *agent) skips() int {
	a.c.t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(a.node.endpoint.metrics.skips)
	all, err := r.Gather()
	if err != nil || len(all) != 1 {
		a.c.t.Fatal(all, err)
	}
	return int(all[0].GetMetric()[0].GetCounter().GetValue())
}

// bases returns the first append of each entry that a store holds.
func (a *agent) bases(j id.Journal) map[uint64]int64 {
	a.c.t.Helper()
	bases := map[uint64]int64{}
	err := a.store.Entries(j, func(e *wal.Entry) error {
		bases[e.Number] = e.Records[0].Base
		return nil
	})
	if err != nil {
		a.c.t.Fatal(err)
	}
	return bases
}

// trim trims all that the writer's store can, and returns the first entry that is left.
func (c *cluster) trim(w *wal.Writer) (first uint64) {
	c.t.Helper()
	a := c.all[0]
	before := a.store.Floor(w.ID())
	a.node.Trim(w.ID(), ^wal.Pos(0), w.Committed())
	c.until("it is trimmed", func() bool { return a.store.Floor(w.ID()) > max(before, wal.First) })
	var err error
	c.until("no more is trimmed", func() bool {
		was := first
		first, _, err = a.store.First(w.ID())
		return err == nil && first == was
	})
	return first
}

// holdsAll waits until an agent has all that was committed, and compares it from an entry on.
func (c *cluster) holdsAll(l *load, a *agent, w *wal.Writer, first uint64, base int64) {
	c.t.Helper()
	c.until("it has all", func() bool { n, err := a.store.Last(w.ID()); return err == nil && n == w.Committed() })
	if got, _, err := a.store.First(w.ID()); got != first || err != nil {
		c.t.Errorf("%s begins with entry %d, not %d: %v", a.addr, got, first, err)
	}
	if next := l.held(a, w.ID(), w.Committed(), base); next != l.sent {
		c.t.Errorf("%s holds appends from %d to %d of %d", a.addr, base, next, l.sent)
	}
}

// TestMemberComesBackBehindTheTrimmed: a member that was away while the entries that it lacks
// were trimmed continues at the writer's first entry. From there on it holds everything, and
// counts as a member again.
func TestMemberComesBackBehindTheTrimmed(t *testing.T) {
	for _, had := range []int{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, 3)
			w := c.create(2)
			l := newLoad(t)
			l.store(w, had)
			c.until("all have it", func() bool { n, _ := c.all[2].store.Last(w.ID()); return n == w.Committed() })
			c.net.setCut("agent-2", true)
			l.store(w, 500)
			bases := c.all[0].bases(w.ID())
			first := c.trim(w)
			l.store(w, 20)
			c.net.setCut("agent-2", false)
			c.holdsAll(l, c.all[2], w, first, bases[first])
			if n := c.all[0].skips(); n != 1 {
				t.Errorf("%d skips", n)
			}
			c.net.setCut("agent-1", true) // now its disk is needed
			c.all[2] = c.all[2].crash(l.random)
			l.store(w, 100)
			c.holdsAll(l, c.all[2], w, first, bases[first])
			l.check()
			w.Close()
		})
	}
}

// TestSlowMemberSkipsInTheMidst: files are trimmed while a slow member is sent their entries and
// still has to write earlier ones.
func TestSlowMemberSkipsInTheMidst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		disk := vfs.NewMemory()
		disk.Fault = func(op, name string) error {
			if op == "sync" {
				time.Sleep(10 * time.Millisecond) // fake time
			}
			return nil
		}
		c.all = append(c.all, c.start("agent-2", disk))
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 10)
		c.until("all have it", func() bool { n, _ := c.all[2].store.Last(w.ID()); return n == w.Committed() })
		resume := c.net.stall("agent-2")
		l.store(w, 500)
		bases := c.all[0].bases(w.ID())
		first := c.trim(w)
		since := c.all[0].node.Members(w.ID())[2].Connected
		resume()
		c.holdsAll(l, c.all[2], w, first, bases[first])
		l.store(w, 100)
		c.holdsAll(l, c.all[2], w, first, bases[first])
		c.until("the writer knows", func() bool { return c.all[0].node.Members(w.ID())[2].LagBytes == 0 })
		m := c.all[0].node.Members(w.ID())[2]
		if n := c.all[0].skips(); n != 1 || m.Connected != since {
			t.Errorf("%d skips, connected since %v and %v before: %+v", n, m.Connected, since, m)
		}
		l.check()
		w.Close()
	})
}

// TestNothingIsSkippedThatIsThere: a member that was away, and a store that is copied to, get
// all that the source has.
func TestNothingIsSkippedThatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 4)
		w, err := c.all[0].node.Create(t.Context(), id.Journal{Writer: c.all[0].inc, Seq: 1}, c.ids(c.all[:3]...), 2)
		if err != nil {
			t.Fatal(err)
		}
		l := newLoad(t)
		c.net.setCut("agent-2", true)
		l.store(w, 500)
		c.net.setCut("agent-2", false)
		c.holdsAll(l, c.all[2], w, 1, 0)
		j, by := w.ID(), c.all[1]
		end, err := by.node.Fence(t.Context(), by.id(), j, 5)
		if err != nil {
			t.Fatal(err)
		}
		if err := by.node.Recruit(t.Context(), j, 5, by.id(), c.all[3].id(), end); err != nil {
			t.Fatal(err)
		}
		c.holdsAll(l, c.all[3], w, 1, 0)
		for _, a := range c.all {
			if n := a.skips(); n != 0 {
				t.Errorf("%s: %d skips", a.addr, n)
			}
		}
		w.Close()
	})
}

// TestRecoveryCopiesBehindTheTrimmed: a member and a recruit that lack what the source has
// trimmed take all the rest, from this agent's store, from another, or from a store that has
// skipped.
func TestRecoveryCopiesBehindTheTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 5)
		w, err := c.all[0].node.Create(t.Context(), id.Journal{Writer: c.all[0].inc, Seq: 1}, c.ids(c.all[:3]...), 2)
		if err != nil {
			t.Fatal(err)
		}
		l := newLoad(t)
		l.store(w, 10)
		c.until("all have it", func() bool { n, _ := c.all[2].store.Last(w.ID()); return n == w.Committed() })
		c.net.setCut("agent-2", true)
		l.store(w, 500)
		j := w.ID()
		c.until("it has all", func() bool { n, _ := c.all[1].store.Last(j); return n == w.Committed() })
		bases := c.all[1].bases(j)
		first := c.trim(w)
		c.until("it is trimmed", func() bool { n, _, err := c.all[1].store.First(j); return err == nil && n == first })
		w.Close()
		c.net.setCut("agent-0", true)
		c.net.setCut("agent-2", false)
		by, ctx := c.all[2].node, t.Context()
		var ends []uint64
		for _, a := range c.all[1:3] {
			end, err := by.Fence(ctx, a.id(), j, 5)
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		end := ends[0]
		if end != w.Committed() || ends[1] >= first-1 {
			t.Fatalf("ends %v of %d", ends, w.Committed())
		}
		if err := by.Copy(ctx, j, 4, c.all[1].id(), c.all[2].id(), end); !errors.Is(err, wal.ErrFenced) {
			t.Errorf("by an earlier recoverer: %v", err)
		}
		if n, _ := c.all[2].store.Last(j); n != ends[1] {
			t.Errorf("an earlier recoverer moved it to %d", n)
		}
		steps := []struct {
			from, to int
			by       *Node
		}{{1, 2, by}, {2, 3, by}, {3, 4, c.all[1].node}}
		for _, x := range steps {
			from, to := c.all[x.from], c.all[x.to]
			copied := x.by.Copy
			if x.to > 2 {
				copied = x.by.Recruit
			}
			if err := copied(ctx, j, 5, from.id(), to.id(), end); err != nil {
				t.Fatalf("%s to %s: %v", from.addr, to.addr, err)
			}
			c.holdsAll(l, to, w, first, bases[first])
			if err := x.by.Seal(ctx, to.id(), j, end); err != nil {
				t.Fatal(err)
			}
		}
		again := c.all[2].crash(l.random)
		c.holdsAll(l, again, w, first, bases[first])
		told := uint64(0)
		err = c.all[1].node.Entries(ctx, again.id(), j, func(e *wal.Entry) error { told++; return nil })
		if err != nil || told != end-first+1 {
			t.Errorf("%d entries are told of %d: %v", told, end-first+1, err)
		}
	})
}

// TestCopyOfNothing: the source has skipped and holds no entry. A store that has less counts as
// far as the source after the copy.
func TestCopyOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(2)
		j, ctx := w.ID(), t.Context()
		w.Close()
		for _, a := range c.all[1:] {
			if _, err := a.node.Fence(ctx, a.id(), j, 5); err != nil {
				t.Fatal(err)
			}
		}
		from, to := c.all[1], c.all[2]
		f, err := from.store.Follow(j)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Skip(ctx, 10, fileStart(2), 5); err != nil {
			t.Fatal(err)
		}
		if err := to.node.Copy(ctx, j, 5, from.id(), to.id(), 8); !errors.Is(err, wal.ErrGone) {
			t.Errorf("a copy up to where nobody has anything: %v", err)
		}
		if err := to.node.Copy(ctx, j, 5, from.id(), to.id(), 9); err != nil {
			t.Error(err)
		}
		if last, err := to.store.Last(j); last != 9 || err != nil {
			t.Errorf("it counts up to %d: %v", last, err)
		}
	})
}

// TestSkipNeedsARecoverer: a call can't make a member of a journal that isn't fenced skip.
func TestSkipNeedsARecoverer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 50)
		last := w.Committed()
		c.until("all have it", func() bool { n, _ := c.all[2].store.Last(w.ID()); return n == last })
		for _, epoch := range []uint64{0, 7} {
			q := &request{verb: verbSkip, journal: w.ID(), a: epoch, b: last + 5, n: 9}
			if _, err := c.all[1].node.call(t.Context(), c.all[2].id(), q); !errors.Is(err, wal.ErrFenced) {
				t.Errorf("epoch %d: %v", epoch, err)
			}
		}
		l.store(w, 50)
		c.holdsAll(l, c.all[2], w, 1, 0)
		w.Close()
	})
}

// TestSkipThatFailsIsTriedAgain: a member whose disk fails during a skip reports why, and is
// tried again.
func TestSkipThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		disk := vfs.NewMemory()
		armed := make(chan struct{}, 1)
		disk.Fault = func(op, name string) error {
			if op == "rename" && strings.Contains(name, ".meta") {
				select {
				case <-armed:
					return errors.New("a fault")
				default:
				}
			}
			return nil
		}
		c.all = append(c.all, c.start("agent-2", disk))
		w := c.create(2)
		l := newLoad(t)
		c.net.setCut("agent-2", true)
		l.store(w, 500)
		bases := c.all[0].bases(w.ID())
		first := c.trim(w)
		armed <- struct{}{}
		c.net.setCut("agent-2", false)
		c.holdsAll(l, c.all[2], w, first, bases[first])
		if len(armed) > 0 || c.all[0].skips() != 2 {
			t.Errorf("%d skips", c.all[0].skips())
		}
		w.Close()
	})
}
