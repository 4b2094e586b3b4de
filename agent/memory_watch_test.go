package agent

import (
	"sync/atomic"
	"testing"
	"time"

	"varve/internal/hostmem"
)

// A process that did something and is idle gives memory back, once.
func TestIdlenessGivesMemoryBack(t *testing.T) {
	var i idleness
	allocated, frees := int64(0), 0
	run := func(looks int, each int64) {
		for range looks {
			if allocated += each; i.look(allocated) {
				frees++
			}
		}
	}
	run(100, 10<<20)
	if frees != 0 {
		t.Fatal("memory is given back under load")
	}
	run(idleFor+1, 100<<10)
	if frees != 1 {
		t.Fatalf("given back %d times by the end of the load", frees)
	}
	run(300, 50<<10) // an idle process allocates, too
	if frees != 1 {
		t.Errorf("given back %d times while there was nothing", frees)
	}
	i.freed = 1 // a cache dropped something
	run(1, 0)
	run(100, 0)
	if frees != 2 {
		t.Errorf("given back %d times, the last after a cache dropped something", frees)
	}
	run(1, 100<<20)
	run(idleFor, 0)
	if frees != 3 {
		t.Errorf("given back %d times after the second load", frees)
	}
}

func TestShortageHalvesTheCaches(t *testing.T) {
	cgroup := func(used int64) hostmem.State {
		return hostmem.State{Total: 1 << 30, Available: 1, Limit: 100, Used: used}
	}
	host := func(available int64) hostmem.State { return hostmem.State{Total: 100, Available: available} }
	for name, c := range map[string]struct{ short, between, calm hostmem.State }{"cgroup": {cgroup(91), cgroup(85), cgroup(79)}, "host": {host(4), host(7), host(11)}} {
		var s shortage
		run := func(looks int, h hostmem.State) {
			for range looks {
				was := s.halved
				if changed := s.look(h); changed != (s.halved != was) {
					t.Errorf("%s: %d to %d is a change: %v", name, was, s.halved, changed)
				}
			}
		}
		run(100, c.calm)
		run(100, c.between)
		if s.halved != 0 {
			t.Errorf("%s: halved %d times without need", name, s.halved)
		}
		run(3, c.short)
		run(50, c.between)
		if s.halved != 3 {
			t.Errorf("%s: halved %d times after 3 looks", name, s.halved)
		}
		run(calmFor-1, c.calm)
		run(1, c.between)
		run(calmFor-1, c.calm)
		if s.halved != 3 {
			t.Errorf("%s: doubled too early", name)
		}
		run(3*calmFor, c.calm)
		if s.halved != 0 {
			t.Errorf("%s: still halved %d times", name, s.halved)
		}
		run(1000, c.short)
		if s.halved != mostHalved {
			t.Errorf("%s: halved %d times", name, s.halved)
		}
	}
	var s shortage
	if s.look(hostmem.State{}) || s.halved != 0 {
		t.Error("what isn't known is short")
	}
}

// While memory is short the caches are small, whatever is read; afterwards they are as before.
func TestAgentUnderPressure(t *testing.T) {
	var state atomic.Pointer[hostmem.State]
	var freed atomic.Int64
	state.Store(&hostmem.State{Total: 100, Available: 50})
	w := newWorld(t)
	w.host = &Host{Read: func() hostmem.State { return *state.Load() }, Free: func() { freed.Add(1) }}
	a := w.start()
	a.produce("a", 0, 1000)
	state.Store(&hostmem.State{Total: 100, Available: 1})
	waitUntil(t, "the caches to be halved", func() bool { return a.serves.memory.halved.Load() >= 2 && freed.Load() >= 2 })
	a.produce("a", 1000, 2000)
	a.consume("a", 2000)
	state.Store(&hostmem.State{Total: 100, Available: 50})
	waitUntil(t, "the caches to grow", func() bool { return a.serves.memory.halved.Load() <= 1 })
	a.consume("a", 2000)
}

// waitUntil waits for something that other goroutines do.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
