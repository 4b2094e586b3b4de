package doctor

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockSync reports whether the kernel says that something synchronizes its clock, and how far off it may be.
func clockSync() (on bool, off time.Duration, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, 0, false
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, time.Duration(t.Maxerror) * time.Microsecond, true
}

// fileSystem names the file system of a directory, and says how it doesn't suit a journal; "" if it does.
func fileSystem(dir string) (name, misfit string, level Level) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", "", OK
	}
	return fileSystemOf(int64(st.Type))
}
