package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"varve/internal/id"
	"varve/internal/notify"
	"varve/internal/vfs"
)

// preallocator makes the files of journals: the first on demand, each further one ahead,
// when the janitor calls it.
type preallocator struct {
	disk     *disk
	spares   *spares
	budget   *budget
	journals *journals
	log      *slog.Logger
	work     notify.Signal // wakes the janitor

	mu struct {
		sync.Mutex
		wants []*nextFile // that need a file
	}
}

// want asks for a file.
func (p *preallocator) want(n *nextFile) {
	p.mu.Lock()
	p.mu.wants = append(p.mu.wants, n)
	p.mu.Unlock()
	p.work.Set()
}

// unwant takes back what was asked for.
func (p *preallocator) unwant(n *nextFile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.wants = slices.DeleteFunc(p.mu.wants, func(x *nextFile) bool { return x == n })
}

// wanted returns what was asked for and isn't there yet.
func (p *preallocator) wanted() []*nextFile {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.mu.wants)
}

// starved reports whether a file can't be had at this moment.
func (p *preallocator) starved() bool { return slices.ContainsFunc(p.wanted(), (*nextFile).failing) }

// run makes the files that are wanted. A full disk is full for all of them; what
// else fails is one journal's alone.
func (p *preallocator) run() {
	wants := p.wanted()
	if len(wants) > 0 {
		p.journals.mu.Lock()
		p.journals.recount() // appends were settled since
		p.journals.mu.Unlock()
	}
	var full, noRoom error
	made := false
	for _, n := range wants {
		if full == nil {
			full = p.budget.admit(n.size)
		}
		f, err := (*file)(nil), full
		if full == nil {
			f, err = p.file(n.journal, n.wanted(), n.size)
		}
		if isFull(err) {
			noRoom = err
		}
		made = made || err == nil
		p.prepared(n, f, err)
	}
	// That nothing was refused for want of room doesn't mean that there is some.
	if noRoom != nil || made || p.budget.roomAgain() {
		p.budget.noteFull(noRoom)
	}
}

// prepared notes how a preparation ended, and strikes it off if it needs no repetition.
func (p *preallocator) prepared(n *nextFile, f *file, err error) {
	over := errors.Is(err, ErrUnknown) // the journal was dropped
	if err == nil || over {
		p.unwant(n)
	}
	was := n.put(f, err) // after that: the taker may want the next at once
	n.freed()
	switch {
	case isFull(err), isFull(was): // said once for all journals
	case err != nil && was == nil && !over:
		p.log.Error("cannot create a journal file, producers are refused until one can be created", "journal", n.journal.id, "err", err)
	case err == nil && was != nil:
		p.log.Info("journal files can be created again", "journal", n.journal.id)
	}
}

// file makes a journal's file, out of a spare if there is one. If the file exists it is
// returned: a follower that lost what was not synced finds files ahead of its last entry. A journal
// that was dropped gets none.
func (p *preallocator) file(h *journal, num uint32, size int64) (*file, error) {
	f, dropped := h.file(num)
	switch {
	case f != nil:
		return f, nil
	case dropped:
		return nil, errDropped(h.id)
	}
	path := p.disk.path(fileName(h.id, num))
	from := p.spares.take(size)
	opened, err := p.make(from, path, h.id, num, size)
	if err != nil && from != "" {
		opened, err = p.make("", path, h.id, num, size)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", path, err)
	}
	reader, err := p.disk.fs.Open(path, 0)
	if err != nil {
		opened.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	f = &file{journal: h.id, num: num, path: path, size: size, f: opened, reader: reader}
	f.end.Store(blockBytes)
	if err := h.add(f); err != nil {
		return nil, err
	}
	return f, nil
}

// make writes under a temporary name and renames last, so that a journal
// file is always whole.
func (p *preallocator) make(spare, path string, j id.Journal, num uint32, size int64) (vfs.File, error) {
	tmp := spare
	if tmp == "" {
		tmp = path + ".tmp"
	}
	f, err := p.disk.open(tmp, vfs.Create)
	if err != nil {
		return nil, err
	}
	is, err := f.Size()
	if err == nil && is != size {
		if err = f.Truncate(0); err == nil {
			err = fill(f, size)
		}
	}
	if err == nil {
		err = writeHeader(f, j, num, size)
	}
	if err == nil {
		err = p.disk.fs.Rename(tmp, path)
	}
	if err == nil {
		err = p.disk.fs.SyncDir(p.disk.dir)
	}
	if err != nil {
		f.Close()
		_ = p.disk.fs.Remove(tmp) // what can't be used must not take room
		return nil, err
	}
	return f, nil
}

// ahead returns a nextFile of a journal, which asks for nothing yet.
func (p *preallocator) ahead(h *journal, freed func()) *nextFile {
	return &nextFile{from: p, journal: h, size: h.fileBytes(), freed: freed}
}

// nextFile has the file that follows the one being written made ahead.
type nextFile struct {
	from    *preallocator
	journal *journal
	size    int64
	freed   func() // a file is there, or none can be had at this moment

	mu struct {
		sync.Mutex
		num  uint32 // of the file wanted
		file *file
		err  error // why the last attempt to make it failed
	}
}

// want asks for file num.
func (n *nextFile) want(num uint32) {
	n.mu.Lock()
	n.mu.num = num
	n.mu.Unlock()
	n.from.want(n)
}

// take returns the file that was wanted, if it is there.
func (n *nextFile) take() *file {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.mu.file
	n.mu.file = nil
	return f
}

// put brings the file, or why there is none, and returns how that was before.
func (n *nextFile) put(f *file, err error) (was error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	was = n.mu.err
	n.mu.file, n.mu.err = f, err
	return was
}

// why returns the answer to an append that needs the file and finds none.
func (n *nextFile) why() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.err != nil {
		return fmt.Errorf("%w: %w", ErrFull, n.mu.err)
	}
	return errBusy
}

// failing reports whether the file can't be had at this moment.
func (n *nextFile) failing() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.err != nil
}

func (n *nextFile) wanted() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.num
}

// end takes back what was asked for. After that the journal gets no more files, so
// that it can be dropped.
func (n *nextFile) end() { n.from.unwant(n) }

// again ends n and returns another for the same journal, which asks for nothing yet.
func (n *nextFile) again() *nextFile {
	n.end()
	return n.from.ahead(n.journal, n.freed)
}
