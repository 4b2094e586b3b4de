package sim

import (
	"context"
	"math/rand/v2"
	"time"

	"varve/internal/backoff"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
)

func newDisk() *vfs.Memory { return vfs.NewMemory() }

// fault is something that goes wrong, and comes right again after a while.
type fault struct {
	name  string
	often int
	begin func(w *world, r *rand.Rand) (end func())
}

// clients, too, may be cut off from an agent.
const clientNodes = 4

func (w *world) someHost(r *rand.Rand) *host { return w.hosts[r.IntN(len(w.hosts))] }

var faultTable = []fault{
	{"an agent is killed", 6, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		dark := r.IntN(2) == 0
		w.log.add("kill %v, its host dark: %v", h, dark)
		h.kill(dark)
		return h.boot
	}},
	{"all agents lose their power", 1, func(w *world, r *rand.Rand) func() {
		w.log.add("all agents lose their power")
		for _, h := range w.hosts {
			h.kill(true)
		}
		return func() {
			for _, h := range w.hosts {
				h.boot()
			}
		}
	}},
	{"an agent's disk is lost", 3, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		if !w.mayLose(h) {
			return nil
		}
		w.log.add("%v loses its disk, store %v", h, h.storeID())
		h.kill(r.IntN(2) == 0)
		h.wipe()
		return h.boot
	}},
	{"a writer dies while one member keeps up, and that one's disk is lost", 2, func(w *world, r *rand.Rand) func() {
		order := r.Perm(len(w.hosts))
		writer, only := w.hosts[order[0]], w.hosts[order[1]]
		l := writer.now()
		if l == nil {
			return nil
		}
		w.log.add("%v is slow and reaches only %v; the bucket is away", writer, only)
		l.disk.setStall(1500 * time.Millisecond)
		cut := func(is bool) {
			for _, n := range order[2:] {
				w.net.setCut(writer.at, w.hosts[n].at, is)
			}
		}
		cut(true)
		w.bucketAway.Store(true)
		died := time.Duration(100+r.IntN(400)) * time.Millisecond
		w.later(died, "", func() {
			writer.kill(false)
			cut(false)
			w.later(2*time.Second, "a dead writer", writer.boot)
		})
		w.later(died+time.Duration(200+r.IntN(3000))*time.Millisecond, "", func() {
			if w.mayLose(only) {
				w.log.add("%v loses its disk, store %v", only, only.storeID())
				only.kill(false)
				only.wipe()
				w.later(time.Second, "the loss of what kept up", only.boot)
			}
		})
		return func() {
			w.bucketAway.Store(false)
			l.disk.setStall(2 * time.Millisecond)
			cut(false)
		}
	}},
	{"an agent stands still", 5, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		l := h.now()
		if l == nil {
			return nil
		}
		w.log.add("%v stands still", h)
		l.g.hold()
		l.setConnected(false)
		return func() {
			l.setConnected(true)
			l.g.release()
		}
	}},
	{"an agent is restarted", 2, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		l := h.now()
		if l == nil {
			return nil
		}
		w.log.add("stop %v", h)
		l.stop()
		return nil // it is revived when it has ended
	}},
	{"two nodes can't reach each other", 6, func(w *world, r *rand.Rand) func() {
		a, b := w.someHost(r).at, w.someHost(r).at
		if r.IntN(3) == 0 {
			b = node(100 + r.IntN(clientNodes))
		}
		w.log.add("%v and %v can't reach each other", a, b)
		w.net.setCut(a, b, true)
		return func() { w.net.setCut(a, b, false) }
	}},
	{"an agent is alone", 3, func(w *world, r *rand.Rand) func() {
		a := w.someHost(r)
		w.log.add("%v can't reach the others", a)
		for _, b := range w.hosts {
			w.net.setCut(a.at, b.at, a != b)
		}
		return func() {
			for _, b := range w.hosts {
				w.net.setCut(a.at, b.at, false)
			}
		}
	}},
	{"connections break", 3, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		w.log.add("connections of %v break", h)
		w.net.breakAll(h.at)
		return nil
	}},
	{"the network is slow", 2, func(w *world, r *rand.Rand) func() {
		d := time.Duration(1+r.IntN(300)) * time.Millisecond
		w.log.add("packets take up to %v", d)
		w.net.setSlow(d)
		return func() { w.net.setSlow(quick) }
	}},
	{"a disk is slow", 3, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		l := h.now()
		if l == nil {
			return nil
		}
		d := time.Duration(1+r.IntN(1500)) * time.Millisecond
		w.log.add("syncs of %v take up to %v", h, d)
		l.disk.setStall(d)
		return func() { l.disk.setStall(2 * time.Millisecond) }
	}},
	{"an agent can't reach etcd", 4, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		l := h.now()
		if l == nil {
			return nil
		}
		w.log.add("%v can't reach etcd", h)
		l.setConnected(false)
		return func() { l.setConnected(true) }
	}},
	{"etcd is away", 2, func(w *world, r *rand.Rand) func() {
		w.log.add("etcd is away")
		w.setEtcdAway(true)
		return func() { w.setEtcdAway(false) }
	}},
	{"etcd's answers get lost", 3, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		l := h.now()
		if l == nil {
			return nil
		}
		w.log.add("answers of etcd to %v get lost", h)
		l.meta.setLossy(true)
		return func() { l.meta.setLossy(false) }
	}},
	{"a lease ends, watches begin anew", 2, func(w *world, r *rand.Rand) func() {
		w.log.add("leases end, and watches lose their place")
		w.meta.Expire(metadata.Lease(1 + r.Int64N(20)))
		w.meta.Compact()
		return nil
	}},
	{"an agent can't reach the bucket", 2, func(w *world, r *rand.Rand) func() {
		h := w.someHost(r)
		l := h.now()
		if l == nil {
			return nil
		}
		w.log.add("%v can't reach the bucket", h)
		l.bucket.setCut(true)
		return func() { l.bucket.setCut(false) }
	}},
	{"the bucket is away", 2, func(w *world, r *rand.Rand) func() {
		w.log.add("the bucket is away")
		w.bucketAway.Store(true)
		return func() { w.bucketAway.Store(false) }
	}},
	{"an old build comes while the cluster is finalized", 4, func(w *world, r *rand.Rand) func() { return w.upgrade.meet(r) }},
}

// planned is a fault of a run's plan.
type planned struct {
	at, lasts time.Duration // since the faults began
	fault     *fault
	seed      uint64 // of all that the fault chooses
}

// plan is what goes wrong in a run. It follows from the seed alone, whatever the
// cluster does: a fault that doesn't apply when its time comes is left out.
func plan(seed uint64, during time.Duration) (all []planned) {
	r := rand.New(rand.NewPCG(seed, 1<<32))
	total := 0
	for _, f := range faultTable {
		total += f.often
	}
	for at := time.Second; at < during; at += time.Duration(50+r.IntN(3000)) * time.Millisecond {
		pick, i := r.IntN(total), 0
		for pick >= faultTable[i].often {
			pick -= faultTable[i].often
			i++
		}
		all = append(all, planned{at, time.Duration(50+r.IntN(8000)) * time.Millisecond, &faultTable[i], r.Uint64()})
	}
	return all
}

// repair is when a fault ends, or goes on with its next step, which has no name.
type repair struct {
	at   time.Time
	name string
	end  func()
}

// later notes what a fault does after a while.
func (w *world) later(after time.Duration, name string, do func()) {
	w.repairs = append(w.repairs, repair{time.Now().Add(after), name, do})
}

// mend does what is due, in the order in which it was noted; all: whenever it is due.
func (w *world) mend(all bool) {
	todo := w.repairs
	w.repairs = nil
	for _, r := range todo {
		if !all && r.at.After(time.Now()) {
			w.repairs = append(w.repairs, r)
			continue
		}
		if r.name != "" {
			w.log.add("over: %s", r.name)
		}
		r.end()
	}
}

// faults lets the plan go wrong. Several things may be wrong at a time.
func (w *world) faults(ctx context.Context, during time.Duration) {
	w.upgrade.mix()
	began := time.Now()
	todo := plan(w.seed, during)
	for len(w.failed()) == 0 && ctx.Err() == nil && time.Since(began) < during {
		_ = backoff.Sleep(ctx, 50*time.Millisecond)
		w.mend(false)
		for _, h := range w.hosts {
			h.revive()
		}
		for len(todo) > 0 && todo[0].at <= time.Since(began) {
			f := todo[0]
			todo = todo[1:]
			if end := f.fault.begin(w, rand.New(rand.NewPCG(f.seed, 0))); end != nil {
				w.later(f.lasts, f.fault.name, end)
			}
		}
	}
	w.mend(true)
}

// heal starts what is down and waits a moment.
func (w *world) heal(ctx context.Context) {
	w.upgrade.settle()
	for _, h := range w.hosts {
		h.boot()
	}
	_ = backoff.Sleep(ctx, time.Second)
}

// mayLose reports whether the promise covers the loss of this host's disk now: with Q of
// 2, one store of each journal may be lost, and the next one only when no journal
// counts on the former any more. Everything that etcd names has to be there.
func (w *world) mayLose(h *host) bool {
	mine := h.storeID()
	if mine == (id.Store{}) {
		return false
	}
	there := map[id.Store]bool{}
	for _, o := range w.hosts {
		there[o.storeID()] = o != h
	}
	m := w.meta.Open()
	defer m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	kvs, _, err := m.List(ctx, schema.PrefixJournals)
	if err != nil {
		return false
	}
	for _, kv := range kvs {
		rec, err := schema.DecodeJournal(kv.Value)
		if err != nil {
			w.fail("a journal's record can't be decoded: %v", err)
			return false
		}
		for _, s := range rec.Ensemble {
			if s != mine && !there[s] {
				return false
			}
		}
	}
	return true
}
