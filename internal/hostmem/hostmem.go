// Package hostmem reads how much memory the host has, and how much of it the process's
// cgroup allows and uses (Linux, cgroup v1 and v2).
package hostmem

import (
	"bufio"
	"bytes"
	"path"
	"strconv"
	"strings"
)

// State is the memory of a host at one moment, in bytes. What is not known is 0.
type State struct {
	Total     int64 // what the host has
	Available int64 // what processes could still take without swapping
	Limit     int64 // of the cgroup, or of one above it, that is nearest to its limit
	Used      int64 // in that cgroup, without the file cache that the kernel can drop at once
	Least     int64 // the least limit of the cgroup and of those above it
}

// Size returns the smaller of the host's memory and the cgroup's limit.
func (s State) Size() int64 {
	switch {
	case s.Least == 0:
		return s.Total
	case s.Total == 0:
		return s.Least
	}
	return min(s.Total, s.Least)
}

// ReadFile reads a whole file of at most limit bytes.
type ReadFile func(name string, limit int64) ([]byte, error)

// maxFile bounds the files that are read here.
const maxFile = 4 << 20

// Read reads the present state. What can't be read is not known.
func Read(read ReadFile) State {
	s := State{Total: total()}
	if b, err := read("/proc/meminfo", maxFile); err == nil {
		s.Total, s.Available = kilobytes(b, "MemTotal:"), kilobytes(b, "MemAvailable:")
	}
	for _, g := range groups(read) {
		g.add(&s, read)
	}
	return s
}

// kilobytes returns the value of a line of /proc/meminfo, in bytes.
func kilobytes(b []byte, name string) int64 { return number(b, name) << 10 }

// number returns the number after a name at the beginning of a line, or 0.
func number(b []byte, name string) int64 {
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) >= 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// group is a directory of a cgroup.
type group struct {
	dir string
	v2  bool
}

// unlimited is from where on a limit of cgroup v1 means none.
const unlimited = 1 << 60

// add notes the group's limit and use, if it has a limit.
func (g group) add(s *State, read ReadFile) {
	one := func(name string) int64 {
		b, err := read(path.Join(g.dir, name), maxFile)
		if err != nil {
			return 0
		}
		n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // "max" is none
		return n
	}
	limit, usage, reclaimable := one("memory.limit_in_bytes"), "memory.usage_in_bytes", "total_inactive_file"
	if g.v2 {
		limit, usage, reclaimable = one("memory.max"), "memory.current", "inactive_file"
		if high := one("memory.high"); high > 0 && (limit == 0 || high < limit) {
			limit = high // above it the kernel slows the process down
		}
	}
	if limit <= 0 || limit >= unlimited {
		return
	}
	stat, _ := read(path.Join(g.dir, "memory.stat"), maxFile)
	used := max(0, one(usage)-number(stat, reclaimable))
	if s.Least == 0 || limit < s.Least {
		s.Least = limit
	}
	if s.Limit == 0 || float64(used)/float64(limit) > float64(s.Used)/float64(s.Limit) {
		s.Limit, s.Used = limit, used
	}
}

// groups lists the process's cgroup and those above it.
func groups(read ReadFile) (all []group) {
	own, err := read("/proc/self/cgroup", maxFile)
	if err != nil {
		return nil
	}
	mounts, err := read("/proc/self/mountinfo", maxFile)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		v2 := f[0] == "0" && f[1] == ""
		if !v2 && !has(f[1], "memory") {
			continue
		}
		root, point := mountOf(string(mounts), v2)
		if point == "" {
			continue
		}
		within, ok := strings.CutPrefix(path.Clean(f[2]), strings.TrimSuffix(root, "/"))
		if !ok || within != "" && !strings.HasPrefix(within, "/") {
			within = "" // a container sees its own group at the mount point
		}
		for dir := path.Join("/", within); ; dir = path.Dir(dir) {
			all = append(all, group{path.Join(point, dir), v2})
			if dir == "/" {
				break
			}
		}
	}
	return all
}

// mountOf finds where the memory cgroups are mounted, and which of them is there. See
// proc_pid_mountinfo(5).
func mountOf(mounts string, v2 bool) (root, point string) {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		if v2 && g[0] == "cgroup2" || !v2 && g[0] == "cgroup" && has(g[2], "memory") {
			return f[3], f[4]
		}
	}
	return "", ""
}

// has reports whether a list that commas separate has an element.
func has(list, element string) bool {
	for e := range strings.SplitSeq(list, ",") {
		if e == element {
			return true
		}
	}
	return false
}
