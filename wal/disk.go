package wal

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/internal/vfs"
)

// disk is the directory of the journals, and whether what is written to it can be relied
// on.
type disk struct {
	fs     vfs.FS
	dir    string
	direct bool
	fatal  func(error)           // may be nil
	broken atomic.Pointer[error] // the first write or sync that failed
}

// path returns the path of the file with that name.
func (d *disk) path(name string) string { return d.dir + "/" + name }

// open opens a file as writers use it.
func (d *disk) open(path string, mode vfs.Mode) (vfs.File, error) {
	if d.direct {
		mode |= vfs.Direct
	}
	return d.fs.Open(path, mode)
}

// remove removes a file, durably.
func (d *disk) remove(path string) error {
	return vfs.RemoveSynced(d.fs, d.dir, strings.TrimPrefix(path, d.dir+"/"))
}

// space returns how many bytes are free, and how many there are in all.
func (d *disk) space() (free, total int64, err error) { return d.fs.Space(d.dir) }

// fail notes that a write or sync failed, for good: a system reports it once, and counts
// what it could not write as written from then on.
func (d *disk) fail(err error) {
	d.broken.CompareAndSwap(nil, &err)
	if d.fatal != nil {
		d.fatal(err)
	}
}

// intact returns why nothing can be said of what is durable here.
func (d *disk) intact() error {
	if err := d.broken.Load(); err != nil {
		return fmt.Errorf("the journals' disk has failed: %w", *err)
	}
	return nil
}

const (
	idFile  = "store"
	idMagic = "VARVESTO"
)

// loadID returns the store id, which it makes if the directory has none.
func (d *disk) loadID(random *chance.Source) (s id.Store, err error) {
	b, err := vfs.ReadFile(d.fs, d.path(idFile), 64)
	if errors.Is(err, vfs.ErrNotExist) {
		s = id.NewStore(random)
		return s, vfs.WriteFile(d.fs, d.dir, idFile, append([]byte(idMagic), s[:]...))
	}
	if err != nil {
		return s, fmt.Errorf("read store id: %w", err)
	}
	if len(b) != len(idMagic)+16 || string(b[:len(idMagic)]) != idMagic {
		return s, &CorruptError{d.path(idFile), 0, errors.New("no store id")}
	}
	copy(s[:], b[len(idMagic):])
	return s, nil
}
