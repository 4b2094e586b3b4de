package metadata

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// dirLock is a lock between processes; the system drops it when the process
// ends in whatever way.
type dirLock struct {
	fd   int
	once sync.Once
}

// lockDir takes the lock of a directory, or says that it is in use.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "lock")
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return &dirLock{fd: fd}, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%s is in use by another process", dir)
	} else {
		err = fmt.Errorf("lock %s: %w", path, err)
	}
	return nil, errors.Join(err, unix.Close(fd))
}

// Close lets the directory go.
func (l *dirLock) Close() error {
	var err error
	l.once.Do(func() { err = unix.Close(l.fd) })
	return err
}
