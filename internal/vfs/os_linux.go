package vfs

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openDirect opens a file past the page cache; ok is false where the file system refuses.
func openDirect(name string, flag int) (f *os.File, ok bool, err error) {
	f, err = os.OpenFile(name, flag|syscall.O_DIRECT, 0o640) // #nosec G302 -- the group may read
	return f, err == nil || !errors.Is(err, syscall.EINVAL), err
}

// syncData makes what was written durable.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}
