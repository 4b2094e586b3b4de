//go:build unix

package doctor

import "golang.org/x/sys/unix"

// openLimit returns how many files a process may have open; false if that isn't known.
func openLimit() (uint64, bool) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true
}
