package wal

import (
	"fmt"
	"log/slog"
	"sync"
)

// indexes keep the directories of files' entries: in memory while a file is written, beside
// it once it is full.
type indexes struct {
	disk *disk
	log  *slog.Logger
	mu   *sync.Mutex // journals.mu: it guards the files' fields
}

// directories returns the directories of a file's entries, from memory or its index.
func (x *indexes) directories(f *file) ([]byte, error) {
	x.mu.Lock()
	dirs, indexed := f.dirs, f.indexed
	x.mu.Unlock()
	if !indexed {
		return dirs, nil
	}
	return readIndex(x.disk, f)
}

// first returns a file's first entry, 0 if there is none yet.
func (x *indexes) first(f *file) (number uint64, err error) {
	dirs, err := x.directories(f)
	if err != nil {
		return 0, err
	}
	err = eachEntry(dirs, func(e *Entry) error {
		number = e.Number
		return errEnough
	})
	if err != nil && err != errEnough {
		return 0, &CorruptError{f.path, 0, err}
	}
	x.mu.Lock()
	f.first = number
	x.mu.Unlock()
	return number, nil
}

// after returns the place after an entry; 0 if the file's directories don't have it.
func (x *indexes) after(f *file, number uint64) (pos Pos, err error) {
	dirs, err := x.directories(f)
	if err != nil {
		return 0, err
	}
	err = eachEntry(dirs, func(e *Entry) error {
		if e.Number == number {
			pos = e.Pos + Pos(e.Length)
			return errEnough
		}
		return nil
	})
	if err != nil && err != errEnough {
		return 0, &CorruptError{f.path, 0, err}
	}
	return pos, nil
}

// lastIn returns the last entry that a file is known to have.
func (x *indexes) lastIn(f *file) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return f.last
}

// write stores the index of a file; the journal's indexing is held.
func (x *indexes) write(f *file) {
	x.mu.Lock()
	dirs := f.dirs
	x.mu.Unlock()
	if err := writeIndex(x.disk, f, dirs); err != nil {
		x.log.Warn("index of a journal file not written, the next start will read the file", "file", f.path, "err", err)
		return
	}
	x.mu.Lock()
	f.indexed, f.dirs = true, nil
	x.mu.Unlock()
}

// takeBack removes a file's index, durably, since more will be written to the file; the
// journal's indexing is held.
func (x *indexes) takeBack(f *file) error {
	indexed := x.has(f)
	var dirs []byte
	if indexed {
		var err error
		if dirs, err = readIndex(x.disk, f); err != nil {
			return fmt.Errorf("read index to go on with %s: %w", f.path, err)
		}
	}
	// There may be one that no one trusted.
	if err := x.disk.fs.Remove(x.disk.path(indexName(f))); err == nil {
		if err := x.disk.fs.SyncDir(x.disk.dir); err != nil {
			return err
		}
	} else if indexed {
		return fmt.Errorf("remove index to go on with %s: %w", f.path, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	f.complete, f.trimmed = false, false
	if indexed {
		f.indexed, f.dirs = false, dirs
	}
	return nil
}

// remove removes the index of a file that is no longer needed.
func (x *indexes) remove(f *file) {
	if err := x.disk.fs.Remove(x.disk.path(indexName(f))); err != nil && x.has(f) {
		x.log.Debug("index of a recycled journal file not removed", "err", err)
	}
}

func (x *indexes) has(f *file) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return f.indexed
}
