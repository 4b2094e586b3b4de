package sim

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// play runs a seed in a process of its own, with one processor and without garbage
// collection, as exactly demands.
func play(bin string, seed uint64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, bin, "-test.run=^TestInside$", "-test.timeout=150s")
	c.Env = []string{fmt.Sprint("VARVE_SIM_INSIDE=", seed), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1,memprofilerate=0",
		"VARVE_SIM_OUT=" + os.Getenv("VARVE_SIM_OUT"), "VARVE_SIM_DEBUG=" + os.Getenv("VARVE_SIM_DEBUG")}
	return c.CombinedOutput()
}
