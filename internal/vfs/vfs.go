// Package vfs is the seam to the file system: the few calls that a storage
// engine needs, over the operating system or over a memory that can crash.
//
// It promises no more than POSIX with a disk that loses power: what was written
// is durable after Sync of the file, a name after SyncDir of its directory;
// before that any subset of the written sectors may survive.
package vfs

import (
	"io"
	"io/fs"
)

// BlockBytes is the unit in which a disk keeps or loses a write, and to which
// direct files need offsets, lengths and memory aligned.
const BlockBytes = 4096

// FS is a file system. Names are slash-separated paths. Errors wrap those of
// io/fs where they apply.
type FS interface {
	// Open opens a file for reading and writing.
	Open(name string, mode Mode) (File, error)
	Remove(name string) error
	// Rename replaces what is at to.
	Rename(from, to string) error
	// List returns the names in a directory, sorted.
	List(dir string) ([]string, error)
	MkdirAll(dir string) error
	// SyncDir makes creations, renames and removals in dir durable.
	SyncDir(dir string) error
	// Space returns how many bytes are free, and how many there are in all.
	Space(dir string) (free, total int64, err error)
	// Lock takes an exclusive lock that dies with the process; taken: ErrLocked.
	Lock(name string) (io.Closer, error)
}

// Mode is how Open opens.
type Mode uint8

// Modes are combined with |.
const (
	// Create makes the file if it is absent.
	Create Mode = 1 << iota
	// Truncate empties it.
	Truncate
	// Direct bypasses the page cache where the file system can; then all writes
	// must be aligned to BlockBytes (see Aligned).
	Direct
	// ReadOnly opens a file that no one writes to, perhaps on a file system where no one can.
	ReadOnly
)

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes what was written durable (fdatasync).
	Sync() error
	Size() (int64, error)
	Truncate(size int64) error
}

type lockedError struct{}

func (lockedError) Error() string { return "locked by another process" }

// ErrLocked: another process, or another user in this one, holds the lock.
var ErrLocked error = lockedError{}

// ErrNotExist is io/fs's.
var ErrNotExist = fs.ErrNotExist

// ReadFile reads a whole file of at most limit bytes.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name, ReadOnly)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

// WriteFile replaces a file whole or not at all, and makes it durable: a new
// file, synced, renamed over the old one, the directory synced.
func WriteFile(fsys FS, dir, name string, b []byte) error {
	path := dir + "/" + name
	f, err := fsys.Open(path+".tmp", Create|Truncate)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = fsys.Rename(path+".tmp", path)
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	return err
}

// RemoveSynced removes a file and makes that durable.
func RemoveSynced(fsys FS, dir, name string) error {
	if err := fsys.Remove(dir + "/" + name); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}
