package metadata

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"varve/internal/vfs"
)

// dirLock is a lock between processes; the system drops it when the process
// ends in whatever way.
type dirLock struct {
	file *os.File
	once sync.Once
}

// InUseError reports that another process has the directory.
type InUseError struct {
	Dir string
	PID string // of the process, if it is known
}

func (e *InUseError) Error() string {
	who := "another process"
	if e.PID != "" {
		who += " (pid " + e.PID + ")"
	}
	return fmt.Sprintf("%s is in use by %s", e.Dir, who)
}

// lockDir takes the lock of a directory, or returns an error that names its user.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := vfs.TryLock(f); err != nil {
		if errors.Is(err, vfs.ErrLocked) {
			err = &InUseError{dir, holder(f)}
		} else {
			err = fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, errors.Join(err, f.Close())
	}
	l := &dirLock{file: f}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), l.Close())
	}
	return l, nil
}

// holder reads the process id in a lock's file.
func holder(f *os.File) string {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0)
	text := strings.TrimSpace(string(b[:n]))
	if strings.Trim(text, "0123456789") != "" {
		return ""
	}
	return text
}

// Close lets the directory go.
func (l *dirLock) Close() error {
	var err error
	l.once.Do(func() { err = l.file.Close() })
	return err
}
