package sim

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"time"
)

// play runs a seed in a process of its own, with one processor and without garbage
// collection of its own accord, as exactly demands; environment is added.
func play(bin string, seed uint64, environment ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, bin, "-test.run=^TestInside$", "-test.timeout=150s")
	c.Env = append([]string{fmt.Sprint("VARVE_SIM_INSIDE=", seed), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1,memprofilerate=0"}, environment...)
	return c.CombinedOutput()
}

// settings are those of this process that a run takes notice of.
func settings() (environment []string) {
	for _, name := range []string{"VARVE_SIM_OUT", "VARVE_SIM_DEBUG"} {
		environment = append(environment, name+"="+os.Getenv(name))
	}
	return environment
}

var (
	violation = regexp.MustCompile(`violation: (.*)`)
	crash     = regexp.MustCompile(`(?m)^(panic|fatal error): .*$`)
)

// verdict is why a run failed.
func verdict(out []byte) string {
	if m := violation.FindSubmatch(out); m != nil {
		return string(m[1])
	}
	if m := crash.Find(out); m != nil {
		return string(m)
	}
	return "it ended without a verdict"
}
