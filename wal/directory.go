package wal

import "varve/internal/id"

// maxDirectories bounds what Directories.Next returns at a time, but for one entry.
const maxDirectories = 1 << 20

// Directories reads the directories of a journal's entries from the front to the back,
// each file's once. It is for one goroutine, and holds the directories of one file
// until it is at the journal's end.
type Directories struct {
	journals *journals
	id       id.Journal

	file  *file  // whose directories dirs are
	dirs  []byte // nil: none are held
	at    int    // in dirs: where to continue
	after uint64 // the entry before that; 0: none of this file
}

// Directories begins to read. The journal was recovered, or is followed or written here.
func (s *Store) Directories(j id.Journal) *Directories {
	return &Directories{journals: s.journals, id: j}
}

// Journal is the one that is read.
func (d *Directories) Journal() id.Journal { return d.id }

// Next returns the directories of the entries with numbers above after, as many as a MiB
// holds, in the form that ParseDirectories reads; empty if there are none. To
// continue after what it returned last is quick; after may also be any other number.
func (d *Directories) Next(after uint64) ([]byte, error) {
	h, err := d.journals.member(d.id)
	if err != nil {
		return nil, err
	}
	files, end := h.snapshot()
	var out []byte
	for _, f := range files {
		if d.journals.indexes.lastIn(f) <= after {
			continue
		}
		if err := d.turnTo(f, after); err != nil {
			return nil, err
		}
		var full bool
		if out, full, err = d.gather(out, after, end); err != nil {
			return nil, &CorruptError{f.path, 0, err}
		}
		if full {
			return out, nil
		}
	}
	if len(out) == 0 {
		d.file, d.dirs = nil, nil
	}
	return out, nil
}

// turnTo makes f the file whose directories are held, at or before the entry that
// follows number after.
func (d *Directories) turnTo(f *file, after uint64) error {
	if d.file == f && d.after <= after && d.at < len(d.dirs) {
		return nil
	}
	d.file, d.dirs = nil, nil
	dirs, err := d.journals.indexes.directories(f)
	if err != nil {
		return err
	}
	if len(dirs) < indexHeadBytes {
		return nil // none yet
	}
	if err := checkIndexHead(dirs); err != nil {
		return err
	}
	d.file, d.dirs, d.at, d.after = f, dirs, indexHeadBytes, 0
	return nil
}

// gather adds what is held, from after number after up to end, until out is full.
func (d *Directories) gather(out []byte, after, end uint64) (_ []byte, full bool, err error) {
	for d.at < len(d.dirs) {
		number, n, err := nextDirectory(d.dirs[d.at:])
		if err != nil {
			return out, false, err
		}
		if number > end {
			return out, false, nil
		}
		if number > after {
			if len(out) > 0 && len(out)+n > maxDirectories {
				return out, true, nil
			}
			if len(out) == 0 {
				out = append(out, d.dirs[:indexHeadBytes]...)
			}
			out = append(out, d.dirs[d.at:d.at+n]...)
		}
		d.at, d.after = d.at+n, number
	}
	return out, false, nil
}

// ParseDirectories calls each with every entry of what Directories.Next returned. The Entry
// is reused between calls. It trusts nothing.
func ParseDirectories(b []byte, each func(*Entry) error) error { return eachEntry(b, each) }
