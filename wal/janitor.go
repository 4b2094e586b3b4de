package wal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/id"
	"varve/internal/vfs"
)

// retryEvery is how soon a preparation that failed is tried again.
const retryEvery = time.Second

// janitor prepares files ahead of writers, writes indexes of full files, and
// recycles what was trimmed.
func (s *Store) janitor(ctx context.Context) {
	defer s.done.Done()
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.work:
		case <-retry.C:
		}
		s.recycle()
		s.budget.look(s.trimmedFiles())
		s.cache.tidy()
		s.behind.cache.tidy()
		s.prepare()
		s.writeIndexes()
	}
}

// prepare makes the files that are wanted. A full disk is full for all of them; what
// else fails is one journal's alone.
func (s *Store) prepare() {
	s.mu.Lock()
	wants := s.mu.wants
	if len(wants) > 0 {
		s.recount() // appends were settled since
	}
	s.mu.Unlock()
	var full, noRoom error
	made := false
	for _, p := range wants {
		if full == nil {
			full = s.budget.admit(p.size)
		}
		f, err := (*file)(nil), full
		if full == nil {
			f, err = s.newFile(p.journal, p.wanted(), p.size)
		}
		if isFull(err) {
			noRoom = err
		}
		made = made || err == nil
		s.prepared(p, f, err)
	}
	// That nothing was refused for want of room doesn't mean that there is some.
	if noRoom != nil || made || s.budget.full.Load() != nil && s.budget.admitOnDisk(s.cfg.FileBytes) == nil {
		s.budget.noteFull(noRoom)
	}
}

// prepared notes how a preparation ended, and strikes it off if it needs no repetition.
func (s *Store) prepared(p *supply, f *file, err error) {
	over := errors.Is(err, ErrUnknown) // the journal was dropped
	if err == nil || over {
		s.mu.Lock()
		s.mu.wants = without(s.mu.wants, p)
		s.mu.Unlock()
	}
	was := p.put(f, err) // after that: the taker may want the next at once
	p.freed()
	switch {
	case isFull(err), isFull(was): // said once for all journals
	case err != nil && was == nil && !over:
		s.log.Error("cannot create a journal file, producers are refused until one can be created", "journal", p.journal, "err", err)
	case err == nil && was != nil:
		s.log.Info("journal files can be created again", "journal", p.journal)
	}
}

// newFile makes a journal's file out of a spare, or anew, unless it is there: a
// follower that lost what was not synced finds files ahead of its last entry. A journal
// that was dropped gets none.
func (s *Store) newFile(j id.Journal, num uint32, size int64) (*file, error) {
	if f := s.file(j, num); f != nil {
		return f, nil
	}
	s.mu.Lock()
	held := s.mu.journals[j]
	over := held == nil || held.dropped
	s.mu.Unlock()
	if over {
		return nil, errDropped(j)
	}
	path := s.disk.path(fileName(j, num))
	from := s.spares.take(size)
	f, err := s.makeFile(from, path, j, num, size)
	if err != nil && from != "" {
		f, err = s.makeFile("", path, j, num, size)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", path, err)
	}
	reader, err := s.disk.fs.Open(path, 0)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	made := &file{journal: j, num: num, path: path, size: size, f: f, reader: reader}
	made.end.Store(blockBytes)
	if held.dropped { // meanwhile: no one would ever trim it
		s.mu.given = append(s.mu.given, made)
		signal(s.work)
		return nil, errDropped(j)
	}
	held.files = append(held.files, made)
	s.giveUp(held, held.meta.start().at) // this one, if it was asked for before a skip
	s.recount()
	return made, nil
}

// makeFile writes under a temporary name and renames last, so that a journal
// file is always whole.
func (s *Store) makeFile(spare, path string, j id.Journal, num uint32, size int64) (vfs.File, error) {
	tmp := spare
	if tmp == "" {
		tmp = path + ".tmp"
	}
	f, err := s.disk.open(tmp, vfs.Create)
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
		err = s.disk.fs.Rename(tmp, path)
	}
	if err == nil {
		err = s.disk.fs.SyncDir(s.disk.dir)
	}
	if err != nil {
		f.Close()
		_ = s.disk.fs.Remove(tmp) // what can't be used must not take room
		return nil, err
	}
	return f, nil
}

// complete notes that a file takes no entries beyond last.
func (s *Store) complete(h *journal, w *Writer, f *file, last uint64) {
	s.mu.Lock()
	if h.writer != w {
		s.mu.Unlock()
		return
	}
	f.complete, f.final = true, last
	s.mu.Unlock()
	signal(s.work)
}

// noteEntry keeps the directory of an entry that its writer has committed and made
// durable here, for the file's index; unless the journal was taken from it, or dropped:
// then not all of it was written.
func (s *Store) noteEntry(l *lane, f *file, h *header, dir []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.held.writer != l.w || l.held.dropped {
		return
	}
	f.last = h.number
	f.appends += appendsIn(dir)
	f.end.Store(h.pos.off() + int64(h.length))
	f.dirs = appendDir(f.dirs, h, dir)
	if f.complete && f.last == f.final {
		signal(s.work)
	}
}
