package testserver

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// awaitStopped returns once every thread of the process stands still: the kernel
// stops them one by one after the signal was sent. Where there is no /proc it
// returns at once.
func awaitStopped(pid int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); <-tick.C {
		threads, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "stat"))
		running := false
		for _, path := range threads {
			stat, err := os.ReadFile(path)
			// The state follows the name, which is in brackets: "1 (name) T ...".
			if i := bytes.LastIndex(stat, []byte(") ")); err == nil && i >= 0 && i+2 < len(stat) && stat[i+2] != 'T' {
				running = true
			}
		}
		if !running {
			return
		}
	}
}
