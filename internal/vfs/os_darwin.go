package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// openDirect opens a file past the page cache; ok is false where the file system refuses.
func openDirect(name string, flag int) (f *os.File, ok bool, err error) {
	if f, err = os.OpenFile(name, flag, 0o640); err != nil {
		return nil, true, err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_NOCACHE, 1); err != nil {
		return nil, false, f.Close()
	}
	return f, true, nil
}

// syncData makes what was written durable: fsync alone leaves it in the disk's cache. File
// systems without F_FULLFSYNC, such as those of a network, have fsync only.
func syncData(f *os.File) error {
	for {
		_, err := unix.FcntlInt(f.Fd(), unix.F_FULLFSYNC, 0)
		if err == unix.ENOTSUP || err == unix.EINVAL || err == unix.ENOTTY {
			err = unix.Fsync(int(f.Fd()))
		}
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &os.PathError{Op: "F_FULLFSYNC", Path: f.Name(), Err: err}
		}
	}
}
