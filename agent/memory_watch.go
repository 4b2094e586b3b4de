package agent

import (
	"context"
	"log/slog"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"varve/internal/hostmem"
	"varve/internal/memshare"
	"varve/wal"
)

// Host is the memory of the machine, as an agent uses it.
type Host struct {
	Read func() hostmem.State
	Free func() // runs the collector and returns free memory to the system
}

const (
	lookEvery    = time.Second
	idleFor      = 20 // looks with little allocation, after which memory is given back
	idleBytes    = 1 << 20
	worthFreeing = 32 << 20
)

// memoryWatch keeps an eye on the machine's memory.
type memoryWatch struct {
	host   *Host
	store  *wal.Store
	tier   *tier
	log    *slog.Logger
	halved atomic.Int64 // how often the caches are, for want of memory
}

// run returns unused memory to the system, and shrinks the caches before the kernel
// would kill the process.
func (w *memoryWatch) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var idle idleness
	var short shortage
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		idle.freed += w.tier.Tidy()
		was := short.halved
		if s := w.host.Read(); short.look(s) {
			w.store.Halve(short.halved)
			w.tier.Halve(short.halved)
			w.halved.Store(int64(short.halved))
			w.sayShort(was, short.halved, s)
		}
		if idle.look(allocated()) || short.halved > was {
			w.host.Free()
		}
	}
}

// sayShort logs the beginning and the end of a shortage.
func (w *memoryWatch) sayShort(was, halved int, s hostmem.State) {
	facts := []any{"available", memshare.Text(s.Available), "of", memshare.Text(s.Total)}
	if s.Limit > 0 {
		facts = []any{"cgroup_used", memshare.Text(s.Used), "cgroup_limit", memshare.Text(s.Limit)}
	}
	switch {
	case was == 0:
		w.log.Warn("memory is short, caches shrink; give the agent a smaller share (memory), or the machine more", facts...)
	case halved == 0:
		w.log.Info("memory is no longer short, caches have their full size", facts...)
	}
}

// allocated returns how many bytes were allocated in the Go heap so far.
func allocated() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// idleness decides when memory is given back: the collector runs by what is allocated, and an
// idle process allocates little.
type idleness struct {
	last, atFree int64 // bytes allocated so far, and when memory was given back
	quiet        int   // looks in a row
	freed        int64 // dropped by caches since then
}

// look is called once a second with the bytes allocated so far. It reports whether memory should
// be given back.
func (i *idleness) look(allocated int64) bool {
	if allocated-i.last > idleBytes {
		i.quiet = 0
	} else {
		i.quiet++
	}
	i.last = allocated
	if i.quiet < idleFor || allocated-i.atFree < worthFreeing && i.freed == 0 {
		return false
	}
	*i = idleness{last: allocated, atFree: allocated, quiet: i.quiet}
	return true
}

// shortage decides how small the caches should be.
type shortage struct {
	halved int // times
	calm   int // looks in a row
}

// The caches are halved once a look while more than shortAt of the cgroup's memory is in use,
// or less than shortOf of the host's is available, and doubled after calmFor looks that find
// more room than that.
const (
	mostHalved = 10
	calmFor    = 10

	shortAt, calmAt = 0.9, 0.8
	shortOf, calmOf = 0.05, 0.1
)

// look is called once a second with the state of memory. It reports whether halved changed.
func (s *shortage) look(h hostmem.State) bool {
	short, calm := false, true
	switch {
	case h.Limit > 0:
		part := float64(h.Used) / float64(h.Limit)
		short, calm = part > shortAt, part < calmAt
	case h.Total > 0 && h.Available > 0:
		part := float64(h.Available) / float64(h.Total)
		short, calm = part < shortOf, part > calmOf
	}
	if !calm || s.halved == 0 {
		s.calm = 0
	} else {
		s.calm++
	}
	switch {
	case short && s.halved < mostHalved:
		s.halved++
		return true
	case s.calm >= calmFor:
		s.halved, s.calm = s.halved-1, 0
		return true
	}
	return false
}
