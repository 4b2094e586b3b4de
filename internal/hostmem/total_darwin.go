package hostmem

import "golang.org/x/sys/unix"

// total returns the host's memory.
func total() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
