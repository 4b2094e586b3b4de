package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"varve/internal/id"
	"varve/internal/vfs"
)

// Recover finds the last intact entry of a journal whose writer is gone, 0 if it
// has none, and makes durable what it counts.
//
//  1. Files with an index were full and committed: the index is believed.
//  2. The others are read entry by entry; each must follow the one before in
//     number and place, name this journal, and match its checksums. An entry that
//     does not fit a file's rest begins the next file.
//  3. The first that fails is the end. Every later block of the journal is then
//     searched for an intact entry which shows that the end's successor was
//     durable; one such is damage (CorruptError), not a torn tail.
//  4. What was read is synced: it may be in the page cache only.
//
// A journal that this process writes or follows, or recovered before, is not read
// again. What is beyond the end of a sealed journal doesn't count.
func (s *Store) Recover(j id.Journal) (last uint64, err error) {
	h, err := s.journals.member(j)
	if err != nil {
		return 0, fmt.Errorf("recover: %w", err)
	}
	return h.recovered()
}

// recovered returns the last entry that counts, which it finds out if that isn't known.
func (h *journal) recovered() (last uint64, err error) {
	h.gate.lock()
	defer h.gate.unlock()
	h.in.mu.Lock()
	known := h.known
	h.in.mu.Unlock()
	if !known {
		if err := h.recover(); err != nil {
			return 0, err
		}
	}
	return h.lastEntry(), nil
}

// recover is Recover's work; the gate is held.
func (h *journal) recover() error {
	if err := h.damageErr(); err != nil {
		return err
	}
	js := h.in
	js.mu.Lock()
	files, from := slices.Clone(h.files), h.meta.start()
	js.mu.Unlock()
	sc := &scanner{in: js, journal: h.id, from: from, last: from.first - 1, tail: from.at}
	for i, f := range files {
		if i == 0 {
			sc.origin = f
		}
		if i > 0 && files[i-1].num+1 != f.num {
			return &CorruptError{f.path, 0, errors.New("the file before it is missing")}
		}
		if err := sc.file(f); err != nil {
			return err
		}
	}
	if err := sc.checkRest(files); err != nil {
		return err
	}
	js.mu.Lock()
	h.known, h.last, h.tail = true, sc.last, sc.tail
	if len(files) > 0 && !sc.first {
		h.tail = makePos(files[0].num, blockBytes)
	}
	js.recount()
	js.mu.Unlock()
	js.work.Set() // indexes may be missing
	return nil
}

// scanner walks through a journal's files.
type scanner struct {
	in      *journals // nil: nothing is noted, it only reads
	journal id.Journal
	last    uint64 // number of the last intact entry
	first   bool   // whether an entry was met
	tail    Pos    // after the last intact entry
	origin  *file  // the first that is there: it holds the first entry, or there is none
	from    floor  // where the journal begins here, unless it was trimmed since
	buf     []byte
	torn    *file // the file in which the walk ended, and where
	tornAt  int64
}

func (sc *scanner) file(f *file) error {
	dirs, err := readIndex(sc.in.disk, f)
	first, last, tail := sc.first, sc.last, sc.tail
	if err == nil {
		n := int64(0)
		err = eachEntry(dirs, func(e *Entry) error {
			n += int64(len(e.Records))
			return sc.follow(e.Number, e.Pos+Pos(e.Length))
		})
		if err == nil {
			sc.settle(f, nil, n, sc.tail.off(), true)
			sc.torn = nil
			return nil
		}
	}
	sc.first, sc.last, sc.tail = first, last, tail
	dirs, n, at, err := sc.read(f)
	if err != nil {
		return err
	}
	if len(dirs) > 0 || sc.torn == nil {
		sc.torn, sc.tornAt = f, at
	}
	if err := f.f.Sync(); err != nil {
		err = fmt.Errorf("sync recovered file: %w", err)
		sc.in.disk.fail(err)
		return err
	}
	sc.settle(f, dirs, n, at, false)
	return nil
}

func (sc *scanner) follow(number uint64, tail Pos) error {
	if sc.first && number != sc.last+1 {
		return fmt.Errorf("entry %d after %d: %w", number, sc.last, errNoEntry)
	}
	if f := sc.origin; f != nil && !sc.first && (tail.file() != f.num || f.num == sc.from.at.file() && number != sc.from.first) {
		return fmt.Errorf("entry %d is the first: %w", number, errNoEntry)
	}
	sc.first, sc.last, sc.tail = true, number, tail
	return nil
}

func (sc *scanner) settle(f *file, dirs []byte, appends, end int64, indexed bool) {
	sc.in.mu.Lock()
	defer sc.in.mu.Unlock()
	f.last, f.final, f.appends, f.dirs, f.indexed = sc.last, sc.last, appends, dirs, indexed
	f.end.Store(end)
}

// read walks through one file and returns its directories, how many appends they are
// about, and where it stopped.
func (sc *scanner) read(f *file) (dirs []byte, appends, at int64, err error) {
	for at = blockBytes; at < f.size; {
		h, dir, err := sc.entry(f, at)
		if errors.Is(err, errNoEntry) {
			return dirs, appends, at, nil
		}
		if err == nil && sc.follow(h.number, h.pos+Pos(h.length)) != nil {
			return dirs, appends, at, nil
		}
		if err != nil {
			return nil, 0, at, err
		}
		dirs = appendDir(dirs, &h, dir)
		appends += appendsIn(dir)
		at += int64(h.length)
	}
	return dirs, appends, at, nil
}

// entry reads and checks the entry at a place; errNoEntry if there is none.
func (sc *scanner) entry(f *file, at int64) (h header, dir []byte, err error) {
	if len(sc.buf) < blockBytes {
		sc.buf = vfs.Aligned(1 << 20)
	}
	if err := readUpTo(f, sc.buf[:blockBytes], at); err != nil {
		return h, nil, err
	}
	if h, err = parseHeader(sc.buf, f.size-at); err != nil {
		return h, nil, err
	}
	if h.journal != sc.journal || h.pos != makePos(f.num, at) {
		return h, nil, errNoEntry
	}
	if int(h.length) > len(sc.buf) {
		sc.buf = vfs.Aligned(int(h.length))
	}
	b := sc.buf[:h.length]
	if err := readUpTo(f, b, at); err != nil {
		return h, nil, err
	}
	dir = b[h.dirAt : h.dirAt+h.dirLen]
	records, err := parseDirectory(nil, &h, dir)
	if err == nil {
		err = checkBodies(b, records)
	}
	return h, dir, err
}

// readUpTo reads what the file has; a file that was cut reads as zeroes.
func readUpTo(f *file, p []byte, at int64) error {
	err := f.readAt(p, at)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("file ends: %w", errNoEntry)
	}
	return err
}

// checkRest looks after the end for proof that it is not the end.
func (sc *scanner) checkRest(files []*file) error {
	if sc.torn == nil {
		return nil
	}
	from := sc.tornAt
	for _, f := range files {
		if f.num < sc.torn.num {
			continue
		}
		if f != sc.torn {
			from = blockBytes
		}
		if err := sc.search(f, from); err != nil {
			return err
		}
	}
	return nil
}

const searchStep = 1 << 20

// intact reports whether a whole entry stands at a place. A header alone proves
// nothing: it may be what a client put into a record.
func (sc *scanner) intact(f *file, at int64) bool {
	_, _, err := sc.entry(f, at)
	return err == nil
}

func (sc *scanner) search(f *file, from int64) error {
	buf := vfs.Aligned(searchStep)
	for at := from; at < f.size; at += searchStep {
		b := buf[:min(searchStep, f.size-at)]
		if err := readUpTo(f, b, at); err != nil {
			if errors.Is(err, errNoEntry) {
				return nil
			}
			return err
		}
		for i := 0; i < len(b); i += blockBytes {
			h, err := parseHeader(b[i:], f.size)
			if err == nil && h.journal == sc.journal && h.pos == makePos(f.num, at+int64(i)) && h.number > sc.last && h.durable > sc.last && sc.intact(f, at+int64(i)) {
				return &CorruptError{sc.torn.path, sc.tornAt, fmt.Errorf("entry %d is damaged: entry %d behind it says that %d was durable", sc.last+1, h.number, h.durable)}
			}
		}
	}
	return nil
}
