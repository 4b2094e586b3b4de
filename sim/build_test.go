package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// patch changes one text in a file of the Go runtime, which must hold it exactly once.
type patch struct {
	file     string // under $GOROOT/src
	old, new string
}

// exactly makes the Go runtime repeat itself. With one processor and no preemption one
// goroutine runs until it waits, and the next one is the first in the queue; so what is
// left to chance, to addresses or to real time is:
//
//   - select, the order of maps, of timers of one moment and all that asks for a random
//     number: drawn from runtime.SimSeed, while a bubble's goroutine itself asks. What the
//     runtime draws for itself depends on real time (a contended lock), so it has its own;
//   - keys that are addresses, which the runtime's own allocations shift: a map keeps the
//     order in which it was filled;
//   - goroutines outside of the bubble, which wake up in real time: they queue up at the
//     end, so that nobody of the bubble changes his place, and the queue has room for all;
//   - long waits for a mutex, long slices of time and long system calls: not treated
//     otherwise;
//   - garbage collection: only while the bubble stands still, before its time goes on.
var exactly = []patch{
	{"runtime/rand.go", "func randinit() {\n", `func randinit() {
	startupRand = simStartup[:]
`},
	{"runtime/rand.go", "func rand() uint64 {\n", `func rand() uint64 {
	if simState != 0 && getg().bubble != nil {
		return simNext()
	}
`},
	{"runtime/rand.go", "var readRandomFailed bool\n", `var readRandomFailed bool

var (
	simStartup = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	simState   uint64

	simCollected int64 // the tens of seconds of fake time at the last collection
)

// SimSeed makes what bubbles draw follow from a seed.
func SimSeed(seed uint64) { simState = seed*2 + 1 }

//go:nosplit
func simNext() uint64 {
	simState += 0x9e3779b97f4a7c16
	z := simState
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
`},
	{"runtime/select.go", "cheaprandn(uint32(norder + 1))", "randn(uint32(norder + 1))"},
	{"runtime/time.go", "t.rand = cheaprand()", "t.rand = rand32()"},
	{"runtime/alg.go", "	useAeshash = true\n", `	for i := range hashkey {
		hashkey[i] = uintptr(bootstrapRand())
	}
	return
`},
	{"runtime/hash64.go", "	a := r8(p)\n	return mix(m5^8,", `	a := r8(p)
	if a>>32 != 0 {
		return seed // perhaps an address
	}
	return mix(m5^8,`},
	{"internal/sync/mutex.go", "starvationThresholdNs = 1e6", "starvationThresholdNs = 1e18"},
	{"runtime/proc.go", "if pp.schedtick%61 == 0 && !sched.runq.empty() {", "if false {"},
	{"runtime/proc.go", "const forcePreemptNS = 10 * 1000 * 1000", "const forcePreemptNS = 1 << 60"},
	{"runtime/proc.go", "		// Retake the P if it's there for more than 1 sysmon tick (at least 20us).\n", `		if simState != 0 {
			thread.resume()
			goto done
		}
`},
	{"runtime/proc.go", "if randomizeScheduler && next && randn(2) == 0 {", "if simState != 0 && gp.bubble == nil {"},
	{"runtime/runtime2.go", "runq     [256]guintptr", "runq     [8192]guintptr"},
	{"runtime/proc.go", "batch *[256]guintptr", "batch *[8192]guintptr"},
	{"runtime/proc.go", "	var batch [len(pp.runq)/2 + 1]*g\n", `	throw("sim: the queue of goroutines is too short")
	var batch *[len(pp.runq)/2 + 1]*g
`},
	{"runtime/synctest.go", "		bubble.now = next\n", `		bubble.now = next
		if simState != 0 && next/1e10 != simCollected {
			simCollected = next / 1e10
			unlock(&bubble.mu)
			gp.bubble = nil
			GC()
			gp.bubble = bubble
			lock(&bubble.mu)
		}
`},
}

// build makes this package's test binary with a runtime that repeats itself.
func build(t testing.TB, tags ...string) string {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, p := range exactly {
		at := filepath.Join(strings.TrimSpace(string(root)), "src", p.file)
		if texts[at] == "" {
			b, err := os.ReadFile(at)
			if err != nil {
				t.Fatal(err)
			}
			texts[at] = string(b)
		}
		if n := strings.Count(texts[at], p.old); n != 1 {
			t.Fatalf("%s: %d times %q, once was expected: the patch has to follow the source", p.file, n, p.old)
		}
		texts[at] = strings.Replace(texts[at], p.old, p.new, 1)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for at, text := range texts {
		copied := filepath.Join(dir, fmt.Sprint(len(overlay.Replace), filepath.Ext(at)))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[at] = copied
	}
	b, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "sim.test")
	if out, err := exec.Command("go", "test", "-c", "-tags", strings.Join(append(tags, "exact"), ","), "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}
