package hostmem

import (
	"errors"
	"testing"
)

const meminfo = "MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\n"

func TestRead(t *testing.T) {
	mount2 := "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
	mount1 := "25 1 0:2 / /proc rw - proc proc rw\n33 32 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  State
		size  int64
	}{
		"nothing is known": {nil, State{}, 0},
		"no cgroup":        {map[string]string{"/proc/meminfo": meminfo}, State{Total: 16 << 20, Available: 8 << 20}, 16 << 20},
		"v2, a limit above": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/a/b\n", "/proc/self/mountinfo": mount2,
			"/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/b/memory.high": "max\n", "/sys/fs/cgroup/a/b/memory.current": "900\n",
			"/sys/fs/cgroup/a/memory.max": "1000\n", "/sys/fs/cgroup/a/memory.current": "900\n", "/sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 100\nactive_file 7\n"},
			State{Total: 16 << 20, Available: 8 << 20, Limit: 1000, Used: 800, Least: 1000}, 1000},
		"v2, the high mark counts": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": mount2,
			"/sys/fs/cgroup/memory.max": "1000\n", "/sys/fs/cgroup/memory.high": "600\n", "/sys/fs/cgroup/memory.current": "300\n"},
			State{Total: 16 << 20, Available: 8 << 20, Limit: 600, Used: 300, Least: 600}, 600},
		"v2, the fullest of two": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/a\n", "/proc/self/mountinfo": mount2,
			"/sys/fs/cgroup/a/memory.max": "1000\n", "/sys/fs/cgroup/a/memory.current": "300\n", "/sys/fs/cgroup/memory.max": "5000\n", "/sys/fs/cgroup/memory.current": "4900\n"},
			State{Total: 16 << 20, Available: 8 << 20, Limit: 5000, Used: 4900, Least: 1000}, 1000},
		"v1 in a container": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n", "/proc/self/mountinfo": mount1,
			"/sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n", "/sys/fs/cgroup/memory/memory.usage_in_bytes": "1500\n", "/sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 500\n"},
			State{Total: 16 << 20, Available: 8 << 20, Limit: 2000, Used: 1000, Least: 2000}, 2000},
		"v1 with a namespace": {map[string]string{"/proc/self/cgroup": "4:memory:/\n", "/proc/self/mountinfo": mount1, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n"},
			State{Limit: 2000, Least: 2000}, 2000},
		"v1 without a limit": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "4:memory:/\n", "/proc/self/mountinfo": mount1,
			"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, State{Total: 16 << 20, Available: 8 << 20}, 16 << 20},
	} {
		got := Read(func(name string, _ int64) ([]byte, error) {
			if text, ok := c.files[name]; ok {
				return []byte(text), nil
			}
			return nil, errors.New("no such file")
		})
		if total() > 0 && c.want.Total == 0 {
			continue // the system tells it in another way
		}
		if got != c.want || got.Size() != c.size {
			t.Errorf("%s: %+v of size %d, want %+v, %d", name, got, got.Size(), c.want, c.size)
		}
	}
}
