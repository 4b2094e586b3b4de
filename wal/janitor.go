package wal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"varve/internal/id"
	"varve/internal/vfs"
)

// maxSpares is how many recycled files wait for use; more are removed.
const maxSpares = 2

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
		s.prepare()
		s.writeIndexes()
	}
}

// prepareFor asks for the file that follows the writer's.
func (s *Store) prepareFor(w *Writer) {
	s.mu.Lock()
	s.mu.wants = append(s.mu.wants, w)
	s.mu.Unlock()
	signal(s.work)
}

// unwant takes back what prepareFor asked for. After that the journal gets no more
// files, so that it can be dropped.
func (s *Store) unwant(w *Writer) {
	s.mu.Lock()
	s.mu.wants = slices.DeleteFunc(slices.Clone(s.mu.wants), func(x *Writer) bool { return x == w })
	s.mu.Unlock()
}

func (s *Store) prepare() {
	s.mu.Lock()
	wants := s.mu.wants
	s.mu.Unlock()
	for _, w := range wants {
		w.mu.Lock()
		num := w.mu.file.num + 1
		w.mu.Unlock()
		err := s.admitFile()
		var f *file
		if err == nil {
			f, err = s.newFile(w.id, num)
		}
		s.prepared(w, err)
		if err == nil {
			w.mu.Lock()
			w.mu.next = f
			w.mu.Unlock()
		}
		w.freed()
		if err != nil {
			return
		}
	}
}

// prepared notes how a preparation ended and, if well, strikes it off.
func (s *Store) prepared(w *Writer, err error) {
	s.mu.Lock()
	was := s.mu.noFile
	s.mu.noFile = err
	if err == nil {
		s.mu.wants = slices.DeleteFunc(slices.Clone(s.mu.wants), func(x *Writer) bool { return x == w })
	}
	s.mu.Unlock()
	if err != nil && was == nil {
		s.log.Error("no journal file can be prepared; producers are refused until one can", "err", err)
	}
	if err == nil && was != nil {
		s.log.Info("journal files can be prepared again")
	}
}

// whyNoFile is the answer to an append that needs the next file.
func (s *Store) whyNoFile(w *Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.noFile != nil {
		return fmt.Errorf("%w: %w", ErrFull, s.mu.noFile)
	}
	return errBusy
}

// admitFile checks the budget and the disk before another file is made.
func (s *Store) admitFile() error {
	if n := s.Untrimmed(); n+s.cfg.FileBytes > s.cfg.HardBytes {
		return fmt.Errorf("%d bytes wait for upload, %d are allowed", n, s.cfg.HardBytes)
	}
	s.mu.Lock()
	spare := len(s.mu.spares) > 0
	s.mu.Unlock()
	if spare {
		return nil
	}
	free, _, err := s.fs.Space(s.cfg.Dir)
	if err != nil {
		return err
	}
	if free < s.cfg.FileBytes+s.cfg.ReserveBytes {
		return fmt.Errorf("%d bytes are free on the disk, %d of them reserved", free, s.cfg.ReserveBytes)
	}
	return nil
}

// newFile makes a journal's file out of a spare, or anew.
func (s *Store) newFile(j id.Journal, num uint32) (*file, error) {
	path := s.cfg.Dir + "/" + fileName(j, num)
	from := s.takeSpare()
	f, err := s.makeFile(from, path, j, num)
	if err != nil && from != "" {
		f, err = s.makeFile("", path, j, num)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", path, err)
	}
	reader, err := s.fs.Open(path, 0)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	made := &file{journal: j, num: num, path: path, size: s.cfg.FileBytes, f: f, reader: reader}
	held := s.held(j)
	held.files = append(held.files, made)
	s.recount()
	return made, nil
}

func (s *Store) takeSpare() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.mu.spares)
	if n == 0 {
		return ""
	}
	p := s.mu.spares[n-1]
	s.mu.spares = s.mu.spares[:n-1]
	return p
}

// makeFile writes under a temporary name and renames last, so that a journal
// file is always whole.
func (s *Store) makeFile(spare, path string, j id.Journal, num uint32) (vfs.File, error) {
	tmp := spare
	if tmp == "" {
		tmp = path + ".tmp"
	}
	f, err := s.open(tmp, vfs.Create)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size != s.cfg.FileBytes {
		if err = f.Truncate(0); err == nil {
			err = fill(f, s.cfg.FileBytes)
		}
	}
	if err == nil {
		err = writeHeader(f, j, num, s.cfg.FileBytes)
	}
	if err == nil {
		err = s.fs.Rename(tmp, path)
	}
	if err == nil {
		err = s.fs.SyncDir(s.cfg.Dir)
	}
	if err != nil {
		f.Close()
		_ = s.fs.Remove(tmp) // what can't be used must not take room
		return nil, err
	}
	return f, nil
}

// complete notes that a file takes no entries beyond last.
func (s *Store) complete(f *file, last uint64) {
	s.mu.Lock()
	f.complete, f.final = true, last
	s.mu.Unlock()
	signal(s.work)
}

// noteCommitted keeps the entry's directory for the file's index.
func (s *Store) noteCommitted(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := e.file
	f.last = e.number
	f.end.Store(e.header.pos.off() + int64(e.header.length))
	f.dirs = appendDir(f.dirs, &e.header, e.dir)
	if f.complete && f.last == f.final {
		signal(s.work)
	}
}

// writeIndexes stores the index of every full file that has none yet.
func (s *Store) writeIndexes() {
	for _, f := range s.unindexed() {
		if err := writeIndex(s.fs, s.cfg.Dir, f, f.dirs); err != nil {
			s.log.Warn("index of a journal file not written; a start will read the file instead", "file", f.path, "err", err)
			continue
		}
		s.mu.Lock()
		f.indexed, f.dirs = true, nil
		s.mu.Unlock()
	}
}

func (s *Store) unindexed() (files []*file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.mu.journals {
		for _, f := range j.files {
			if f.complete && !f.indexed && !f.trimmed && f.last == f.final && len(f.dirs) > 0 {
				files = append(files, f)
			}
		}
	}
	return files
}
