package sim

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// faultTime is how long things go wrong in a run.
const faultTime = 20 * time.Second

// TestInside is one run in this process. VARVE_SIM_INSIDE is the seed, as the other
// tests give it to a process built to repeat itself; otherwise the seed is a fresh one,
// and the runtime an ordinary one, with the race detector if there is one.
func TestInside(t *testing.T) {
	seed := number(t, "VARVE_SIM_INSIDE", rand.Uint64N(1<<40))
	level := slog.LevelInfo
	if os.Getenv("VARVE_SIM_DEBUG") != "" {
		level = slog.LevelDebug
	}
	seedRuntime(seed)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, level)
		var history string
		w.run(faultTime, func() { history = w.log.hash() })
		if name := os.Getenv("VARVE_SIM_OUT"); name != "" {
			if err := os.WriteFile(name, []byte(w.log.last(keepLines)), 0o600); err != nil {
				t.Error(err)
			}
		}
		fmt.Printf("seed %d, history %s; %v; %v of fake time\n", seed, history, w.ledger, time.Since(w.log.began))
		if f := w.failed(); len(f) > 0 {
			t.Errorf("violation: %s\n%s", f[0], w.log.last(200))
		}
	})
}

// number reads a setting of the tests.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// fewRuns is how many fresh seeds are played when nobody says how many.
const fewRuns = 8

// TestSimulation keeps promises 1 to 3, and the offsets of groups, under faults that
// nobody has seen before: VARVE_SIM_RUNS fresh seeds. It prints the first seed; the
// others follow it. VARVE_SIM_FIRST gives the first; VARVE_SIM_SEED is one seed to be
// repeated and shown.
func TestSimulation(t *testing.T) {
	bin := build(t)
	if seed := number(t, "VARVE_SIM_SEED", 0); seed != 0 {
		out, err := play(bin, seed, settings()...)
		t.Logf("%s", out)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		return
	}
	first := number(t, "VARVE_SIM_FIRST", rand.Uint64N(1<<40))
	runs := number(t, "VARVE_SIM_RUNS", fewRuns)
	fmt.Printf("sim: seeds %d to %d\n", first, first+runs-1)
	t.Run("a seed repeats a run", func(t *testing.T) { repeats(t, bin, first) })
	t.Run("fresh seeds", func(t *testing.T) { fresh(t, bin, first, runs) })
}

// fresh plays seeds, and ends early when five have failed.
func fresh(t *testing.T, bin string, first, runs uint64) {
	var failed []uint64
	var mu sync.Mutex
	each(first, runs, func(seed uint64) bool {
		out, err := play(bin, seed)
		if err == nil {
			return true
		}
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, seed)
		t.Errorf("seed %d fails: %s; 'make sim SEED=%d' repeats it\n%s", seed, verdict(out), seed, out)
		return len(failed) < 5
	})
	if len(failed) > 0 {
		t.Errorf("%d of %d seeds failed: %d", len(failed), runs, failed)
	}
}

// repeats plays a seed four times, two at a time, so that the processes disturb each
// other, and with environments of different sizes, so that addresses differ. All that
// agents log and clients see, with times, must be the same, line by line.
func repeats(t *testing.T, bin string, seed uint64) {
	dir := t.TempDir()
	each(0, 4, func(n uint64) bool {
		out, err := play(bin, seed, "VARVE_SIM_DEBUG=1", fmt.Sprint("VARVE_SIM_OUT=", filepath.Join(dir, fmt.Sprint(n))), "FILL="+strings.Repeat("x", int(1000*n)))
		if err != nil {
			t.Errorf("seed %d fails: %s; 'make sim SEED=%d' repeats it\n%s", seed, verdict(out), seed, out)
		}
		return true
	})
	if t.Failed() {
		return
	}
	var histories [4][]string
	for n := range histories {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			t.Fatal(err)
		}
		histories[n] = strings.Split(string(b), "\n")
		if len(histories[n]) < 500 {
			t.Errorf("seed %d: a history of %d lines", seed, len(histories[n]))
		}
		if at := parts(histories[0], histories[n]); at >= 0 {
			t.Errorf("seed %d: histories part at line %d:\n%s\n%s", seed, at, line(histories[0], at), line(histories[n], at))
		}
	}
}

// parts is the first line in which two histories differ; -1: none.
func parts(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if line(a, i) != line(b, i) {
			return i
		}
	}
	return -1
}

func line(history []string, n int) string {
	if n >= len(history) {
		return "(the end)"
	}
	return history[n]
}

// each runs seeds on all processors until f says false.
func each(first, runs uint64, f func(seed uint64) bool) {
	seeds := make(chan uint64)
	stop := make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(func() {
			for seed := range seeds {
				if !f(seed) {
					once.Do(func() { close(stop) })
				}
			}
		})
	}
	for i := range runs {
		select {
		case seeds <- first + i:
			continue
		case <-stop:
		}
		break
	}
	close(seeds)
	all.Wait()
}

// TestASeedRepeatsItsFaults: what goes wrong, when and for how long, follows from the
// seed alone, in every process.
func TestASeedRepeatsItsFaults(t *testing.T) {
	show := func(seed uint64) (text string) {
		for _, p := range plan(seed, faultTime) {
			text += fmt.Sprintln(p.at, p.lasts, p.fault.name, p.seed)
		}
		return text
	}
	seen := map[string]bool{}
	all := sha256.New()
	for seed := range uint64(50) {
		first := show(seed)
		if again := show(seed); again != first {
			t.Fatalf("seed %d plans\n%s, then\n%s", seed, first, again)
		}
		seen[first] = true
		fmt.Fprint(all, first)
	}
	if len(seen) < 50 {
		t.Errorf("50 seeds have %d plans", len(seen))
	}
	const golden = "37ae0e8bf358d5e3"
	if sum := fmt.Sprintf("%x", all.Sum(nil))[:16]; sum != golden {
		t.Errorf("the plans are %s, not %s: printed seeds of former versions mean something else now", sum, golden)
	}
}
