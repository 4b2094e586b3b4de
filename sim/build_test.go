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

// patch changes one text in a file, which must hold it exactly once.
type patch struct {
	file     string // in the module, or, if it begins with $GOROOT, there
	old, new string
}

// exactly makes the Go runtime repeat itself: what it draws while a bubble's goroutine
// runs (select, maps, timers of one moment) follows from runtime.SimSeed, hashes are
// the same in every process and blind to addresses, and neither a goroutine that runs long nor one that waits
// long for a mutex is treated otherwise. The queue of all processors is looked at only when
// the own one is empty. With one processor and no garbage collection the scheduler has
// little left to choose.
var exactly = []patch{
	{"$GOROOT/src/runtime/rand.go", "func randinit() {\n", `func randinit() {
	startupRand = simStartup[:]
`},
	{"$GOROOT/src/runtime/rand.go", "func rand() uint64 {\n", `func rand() uint64 {
	if gp := getg().m.curg; simState != 0 && gp != nil && gp.bubble != nil {
		return simNext()
	}
`},
	{"$GOROOT/src/runtime/rand.go", "func cheaprand() uint32 {\n	mp := getg().m\n", `func cheaprand() uint32 {
	mp := getg().m
	if simState != 0 && mp.curg != nil && mp.curg.bubble != nil {
		return uint32(simNext() >> 32)
	}
`},
	{"$GOROOT/src/runtime/rand.go", "var readRandomFailed bool\n", `var readRandomFailed bool

var (
	simStartup = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	simState   uint64
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
	{"$GOROOT/src/runtime/asm_amd64.s", "TEXT runtime·memhash64<ABIInternal>(SB),NOSPLIT,$0-24\n", `TEXT runtime·memhash64<ABIInternal>(SB),NOSPLIT,$0-24
	MOVQ	(AX), CX
	SHRQ	$32, CX
	JEQ	simSmall
	MOVQ	BX, AX	// an address: maps keep the order in which they were filled
	RET
simSmall:
`},
	{"$GOROOT/src/internal/sync/mutex.go", "starvationThresholdNs = 1e6", "starvationThresholdNs = 1e18"},
	{"$GOROOT/src/runtime/proc.go", "if pp.schedtick%61 == 0 && !sched.runq.empty() {", "if false {"},
	{"$GOROOT/src/runtime/proc.go", "const forcePreemptNS = 10 * 1000 * 1000", "const forcePreemptNS = 1 << 60"},
}

// build makes this package's test binary out of patched sources.
func build(t testing.TB, name string, patches ...patch) string {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, p := range patches {
		file, inRoot := strings.CutPrefix(p.file, "$GOROOT/")
		at := "../" + file
		if inRoot {
			at = filepath.Join(strings.TrimSpace(string(root)), file)
		}
		if at, err = filepath.Abs(at); err != nil {
			t.Fatal(err)
		}
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
	bin := filepath.Join(dir, name+".test")
	if out, err := exec.Command("go", "test", "-c", "-tags", "exact", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return bin
}
