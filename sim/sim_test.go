package sim

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestOne runs one seed: VARVE_SIM_SEED.
func TestOne(t *testing.T) {
	text := os.Getenv("VARVE_SIM_SEED")
	if text == "" {
		t.Skip("no VARVE_SIM_SEED")
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	runSeed(t, seed)
}

// faultTime is how long things go wrong in a run.
const faultTime = 20 * time.Second

func runSeed(t *testing.T, seed uint64) {
	level := slog.LevelInfo
	if os.Getenv("VARVE_SIM_DEBUG") != "" {
		level = slog.LevelDebug
	}
	began := time.Now()
	seedRuntime(seed)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, level)
		w.run(faultTime)
		if f := w.failed(); len(f) > 0 {
			t.Errorf("seed %d: %s\n%s", seed, f[0], w.log.last(300))
		}
		if name := os.Getenv("VARVE_SIM_OUT"); name != "" {
			_ = os.WriteFile(name, []byte(w.log.last(keepLines)), 0o600)
		}
		fmt.Printf("seed %d: history %s; %v; %v\n", seed, w.log.hash(), w.ledger, time.Since(w.log.began))
	})
	fmt.Printf("seed %d took %v\n", seed, time.Since(began))
}

func TestBuild(t *testing.T) {
	b := build(t, "exact", exactly...)
	os.Rename(b, "/tmp/exact.test")
}
