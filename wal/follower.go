package wal

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"varve/internal/id"
	"varve/internal/mutate"
	"varve/internal/notify"
	"varve/internal/vfs"
)

// Follower keeps a copy of a journal that another process writes: the same entries
// in the same files at the same places, so that a Pos means the same on every
// member. There is one for a journal in a process; several may call it.
//
// Invariant: entries follow each other in number and place; none is skipped, but by
// Skip.
type Follower struct {
	id      id.Journal
	held    *journal
	files   *nextFile
	room    notify.Signal // a value when a file may be there
	metrics *metrics
	clock   func() time.Time

	// Guarded by held.gate.
	file    *file // nil: not there yet, since a skip
	at      int64
	written uint64 // the last entry written
	fresh   []unsynced
}

// unsynced is what was written to a file since its last sync.
type unsynced struct {
	file *file
	last uint64
	end  int64
	dirs []byte // as appendDir makes them
	n    int64  // appends in them
}

// Follow opens a journal that was joined, and that this process doesn't write, for
// appends from its writer or a recoverer. After a restart it continues where the
// intact entries end.
func (s *Store) Follow(j id.Journal) (*Follower, error) {
	h, err := s.journals.member(j)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	h.gate.lock()
	defer h.gate.unlock()
	s.journals.mu.Lock()
	f, w, known, dropped := h.follower, h.writer, h.known, h.dropped
	s.journals.mu.Unlock()
	switch {
	case dropped:
		return nil, errDropped(j)
	case f != nil:
		return f, nil
	case w != nil:
		return nil, fmt.Errorf("follow journal %v: this process writes it", j)
	case !known:
		if err := h.recover(); err != nil {
			return nil, err
		}
	}
	if f, err = s.openFollower(h); err != nil {
		return nil, fmt.Errorf("follow journal %v: %w", j, err)
	}
	s.journals.mu.Lock()
	h.follower = f
	s.journals.mu.Unlock()
	return f, nil
}

// openFollower finds the place after the last entry; the gate is held.
func (s *Store) openFollower(h *journal) (*Follower, error) {
	room := notify.NewSignal()
	files := s.files.ahead(h, func() { room.Set() })
	f := &Follower{id: h.id, held: h, files: files, room: room, metrics: s.metrics, clock: s.clock}
	if len(h.from(0)) == 0 {
		if err := s.budget.admit(files.size); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFull, err)
		}
		from := h.stored().start()
		if _, err := s.files.file(h, from.at.file(), files.size); err != nil {
			return nil, err
		}
		h.beginAt(from.at)
	}
	next, err := f.locate()
	if err != nil {
		return nil, err
	}
	if next != nil {
		files.put(next, nil)
	} else {
		files.want(f.file.num + 1)
	}
	return f, nil
}

// locate finds the file and the place after the last entry, and the next file, if it is
// there.
func (f *Follower) locate() (next *file, err error) {
	h := f.held
	h.indexing.lock()
	defer h.indexing.unlock()
	h.in.mu.Lock()
	tail, files := h.tail, h.files.from(h.tail.file())
	f.written, f.at = h.last, tail.off()
	f.file, next = files.find(tail.file()), files.find(tail.file()+1)
	h.in.mu.Unlock()
	if f.file == nil {
		return nil, fmt.Errorf("file %d: %w", tail.file(), ErrGone)
	}
	for _, x := range files {
		if err := h.in.indexes.takeBack(x); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// Append takes whole contiguous entries, as the writer closed
// them, checks every byte of them, and writes those that are new; Sync makes them
// durable. The epoch is 0 for the writer, and a recoverer's for its copies: another
// than that which fenced the journal is ErrFenced. It waits for the next file to be
// ready, and answers ErrFull if there can't be one. entries is changed: the field
// of the header with the durable number is about this store.
func (f *Follower) Append(ctx context.Context, entries []byte, epoch uint64) error {
	run, err := f.parse(entries)
	if err != nil {
		return err
	}
	if !aligned(entries) {
		entries = append(vfs.Aligned(len(entries))[:0], entries...)
	}
	for waited := false; ; waited = true {
		err := f.write(entries, run, epoch)
		if !IsBusy(err) {
			if waited {
				f.room.Set() // for others that wait: the writer's stream beside a recoverer
			}
			return err
		}
		select {
		case <-f.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// received is an entry of a run.
type received struct {
	header header
	from   int // in the run
	dir    []byte
}

// parse takes a run apart and checks its sums.
func (f *Follower) parse(entries []byte) (run []received, err error) {
	for at := 0; at < len(entries); {
		b := entries[at:]
		h, err := parseHeader(b, int64(len(b)))
		if err != nil {
			return nil, fmt.Errorf("journal %v: entry %d bytes into a run: %w", f.id, at, err)
		}
		b = b[:h.length]
		dir := b[h.dirAt : h.dirAt+h.dirLen]
		records, err := parseDirectory(nil, &h, dir)
		if err == nil {
			err = checkBodies(b, records)
		}
		if err == nil && h.journal != f.id {
			err = fmt.Errorf("it is of journal %v", h.journal)
		}
		if n := len(run); err == nil && n > 0 && run[n-1].header.number+1 != h.number {
			err = fmt.Errorf("it follows %d", run[n-1].header.number)
		}
		if err != nil {
			return nil, fmt.Errorf("journal %v: entry %d: %w", f.id, h.number, err)
		}
		run = append(run, received{h, at, dir})
		at += int(h.length)
	}
	return run, nil
}

// write writes what is new of a run, or as much as there are files for.
func (f *Follower) write(entries []byte, run []received, epoch uint64) error {
	f.held.gate.lock()
	defer f.held.gate.unlock()
	durable := f.held.durable()
	for len(run) > 0 && run[0].header.number <= f.written {
		run = run[1:]
	}
	for len(run) > 0 {
		h := &run[0].header
		if err := f.held.admit(epoch, h.number); err != nil {
			return err
		}
		if h.number != f.written+1 {
			return fmt.Errorf("journal %v: entry %d comes after %d", f.id, h.number, f.written)
		}
		if err := f.place(h); err != nil {
			return err
		}
		n := f.fits(run)
		for i := range run[:n] {
			run[i].header.durable = durable
			run[i].header.put(entries[run[i].from:])
		}
		last := &run[n-1]
		p := entries[run[0].from : last.from+int(last.header.length)]
		if _, err := f.file.f.WriteAt(p, f.at); err != nil {
			err = fmt.Errorf("write journal %v entry %d: %w", f.id, h.number, err)
			f.held.in.disk.fail(err)
			return err
		}
		f.note(run[:n])
		run = run[n:]
	}
	return nil
}

// place sees to it that an entry's place is where the last one ended, or the
// beginning of the next file if it doesn't fit there.
func (f *Follower) place(h *header) error {
	if err := f.begin(); err != nil {
		return err
	}
	if h.pos == makePos(f.file.num, f.at) && f.at+int64(h.length) <= f.file.size {
		return nil
	}
	// A writer may leave room at a file's end: what it moved on for may not have come.
	if h.pos != makePos(f.file.num+1, blockBytes) || blockBytes+int64(h.length) > f.files.size {
		return fmt.Errorf("journal %v: entry %d is meant for %v, the last one ended at %v", f.id, h.number, h.pos, makePos(f.file.num, f.at))
	}
	next := f.files.take()
	if next == nil {
		return f.files.why()
	}
	f.held.complete(nil, f.file, f.written)
	f.file, f.at = next, blockBytes
	f.files.want(next.num + 1)
	return nil
}

// fits counts the entries that are in this file, one after another, and count in a
// sealed journal.
func (f *Follower) fits(run []received) int {
	m := f.held.stored()
	n, at := 0, f.at
	for n < len(run) && run[n].header.pos == makePos(f.file.num, at) && at+int64(run[n].header.length) <= f.file.size {
		if m.sealed && run[n].header.number > m.end {
			break
		}
		at += int64(run[n].header.length)
		n++
	}
	return n
}

// note remembers what was written until it is synced.
func (f *Follower) note(run []received) {
	n := len(f.fresh)
	if n == 0 || f.fresh[n-1].file != f.file {
		f.fresh = append(f.fresh, unsynced{file: f.file})
		n++
	}
	u := &f.fresh[n-1]
	for i := range run {
		h := &run[i].header
		u.dirs = appendDir(u.dirs, h, run[i].dir)
		u.n += appendsIn(run[i].dir)
		f.at += int64(h.length)
	}
	f.written = run[len(run)-1].header.number
	u.last, u.end = f.written, f.at
}

// Sync makes durable what was written, and returns up to which entry this store has
// all.
func (f *Follower) Sync() (durable uint64, err error) {
	f.held.gate.lock()
	defer f.held.gate.unlock()
	err = f.sync()
	return f.held.durable(), err
}

// Durable is the last entry that is on disk, with everything before it.
func (f *Follower) Durable() uint64 { return f.held.durable() }

func (f *Follower) sync() error {
	if err := f.held.in.disk.intact(); err != nil {
		return err
	}
	started, n := f.clock(), 0
	for len(f.fresh) > 0 {
		u := &f.fresh[0]
		var err error
		if !mutate.On(mutate.AckBeforeSync) {
			err = u.file.f.Sync()
		}
		if err != nil {
			err = fmt.Errorf("sync journal %v: %w", f.id, err)
			f.held.in.disk.fail(err)
			return err
		}
		n += len(u.dirs)
		f.held.synced(u)
		f.fresh = f.fresh[1:]
	}
	if n > 0 {
		f.fresh = nil
		f.metrics.followed(f.clock().Sub(started))
	}
	return nil
}

func aligned(b []byte) bool {
	return len(b) == 0 || uintptr(unsafe.Pointer(&b[0]))%blockBytes == 0
}
