package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks is the unit of CPU times in /proc, per second, on every Linux.
const ticks = 100

// usage is the CPU time that processes had, and their memory.
type usage struct {
	seconds float64
	rss     int64
}

// usageOf sums over processes; one that is gone is an error.
func usageOf(pids []int) (u usage, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return u, fmt.Errorf("read CPU time of process %d: %w", pid, err)
		}
		one, err := parseStat(string(b))
		if err != nil {
			return u, fmt.Errorf("read CPU time of process %d: %w", pid, err)
		}
		u.seconds += one.seconds
		u.rss += one.rss
	}
	return u, nil
}

// parseStat reads a line of /proc/PID/stat; the name in parentheses may hold
// anything.
func parseStat(line string) (u usage, err error) {
	f := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(f) < 22 {
		return u, fmt.Errorf("stat has %d fields", len(f))
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	pages, err3 := strconv.ParseInt(f[21], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return u, fmt.Errorf("stat %q is malformed", line)
	}
	return usage{(user + system) / ticks, pages * int64(os.Getpagesize())}, nil
}

// meteredRun measures time and the processes' use around f, and fills r from what
// f counted.
func meteredRun(c *Config, r *Result, f func() (bytes, records int64, err error)) error {
	before, err := usageOf(c.PIDs)
	if err != nil {
		return err
	}
	start := time.Now()
	bytes, records, err := f()
	if err != nil {
		return err
	}
	r.rates(time.Since(start), bytes, records)
	if len(c.PIDs) == 0 {
		return nil
	}
	after, err := usageOf(c.PIDs)
	if err != nil {
		return err
	}
	r.CPUCores, r.RSSMB = (after.seconds-before.seconds)/r.Seconds, float64(after.rss)/1e6
	if r.MB > 0 {
		r.CPUPerGB = (after.seconds - before.seconds) / (r.MB / 1000)
	}
	return nil
}
