package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/internal/vfs"
)

// Options are what a Store needs from outside.
type Options struct {
	FS       vfs.FS
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: no metrics are registered
	// Fatal is called when a write or sync failed: what is durable is not known any
	// more, and the process must end. It may return; then all appends fail, and
	// nothing is said any more of what is durable here.
	Fatal func(error)
	// Clock is time.Now unless set.
	Clock func() time.Time
	// Random makes the id of a new data directory; nil is the system's.
	Random *chance.Source
}

// Store is a data directory with all the journals that it keeps, one of which
// may be open for appends by this process.
type Store struct {
	cfg     *Config
	id      id.Store
	disk    *disk
	spares  *spares
	budget  *budget
	lock    io.Closer
	log     *slog.Logger
	metrics *metrics
	clock   func() time.Time
	cache   *cache
	behind  *stretches

	mu struct {
		sync.Mutex
		journals map[id.Journal]*journal
		given    []*file   // given up, to be taken away
		stuck    []*file   // taken out of their journals, but not away yet
		wants    []*supply // that need a next file
	}
	work chan struct{}
	stop context.CancelFunc
	done sync.WaitGroup
}

// journal is what the store holds of one journal.
type journal struct {
	// gate is held (a value is in it) by the one that writes to the journal's files or
	// changes its meta file, so that nothing from below a fence becomes durable
	// after it.
	gate chan struct{}
	// indexing is held while an index is written, and by the one that takes a file's index
	// back to go on writing the file. Taken after gate.
	indexing chan struct{}

	// Guarded by Store.mu.
	files    []*file // by number
	meta     meta
	known    bool     // written or recovered by this process: what follows is true
	last     uint64   // the highest entry that is durable here, with all before it
	tail     Pos      // behind it
	passed   uint64   // the highest entry of files that were taken away
	dropped  bool     // no longer needed, all of it
	damaged  error    // something of it can't be read: nothing is said of what it holds
	bad      []string // paths of the files of which that is so
	writer   *Writer
	follower *Follower
}

// Open opens or formats the data directory.
func Open(cfg Config, o Options) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := o.FS.MkdirAll(cfg.Dir); err != nil {
		return nil, fmt.Errorf("make journal directory: %w", err)
	}
	lock, err := o.FS.Lock(cfg.Dir + "/lock")
	if err != nil {
		return nil, fmt.Errorf("lock journal directory %s: %w", cfg.Dir, err)
	}
	d := &disk{fs: o.FS, dir: cfg.Dir, direct: cfg.Direct, fatal: o.Fatal}
	name, err := d.loadID(o.Random)
	if err != nil {
		lock.Close()
		return nil, err
	}
	sp := &spares{cfg: &cfg, disk: d, log: o.Log}
	s := &Store{cfg: &cfg, id: name, disk: d, spares: sp, budget: &budget{cfg: &cfg, disk: d, spares: sp, log: o.Log}, lock: lock, log: o.Log, clock: o.Clock,
		cache: newCache(cfg.CacheBytes, cfg.ChunkBytes, time.Now), work: make(chan struct{}, 1)}
	if s.clock == nil {
		s.clock = time.Now
	}
	s.mu.journals = map[id.Journal]*journal{}
	s.behind = newStretches(s, cfg.ReadBytes)
	s.metrics = newMetrics(o.Registry, s.budget, sp)
	if err := s.load(); err != nil {
		lock.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.done.Add(1)
	go s.janitor(ctx)
	return s, nil
}

// ID is the store id, made when the directory was formatted.
func (s *Store) ID() id.Store { return s.id }

// Close ends the store's own work. Writers must be closed before.
func (s *Store) Close() error {
	s.stop()
	s.done.Wait()
	s.behind.done.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.mu.journals {
		for _, f := range j.files {
			f.retire()
			f.close()
		}
	}
	for _, f := range s.mu.given {
		f.retire()
		f.close()
	}
	s.cache.close()
	s.behind.cache.close()
	return s.lock.Close()
}

// load reads names and headers, no entries.
func (s *Store) load() error {
	names, err := s.disk.fs.List(s.disk.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := s.disk.path(name)
		switch {
		case strings.HasPrefix(name, spareName):
			s.spares.found(name)
		case strings.HasSuffix(name, ".tmp"):
			err = s.disk.fs.Remove(path)
		case strings.HasSuffix(name, suffixMeta):
			err = s.loadMeta(name)
		case strings.HasSuffix(name, suffixFile):
			err = s.loadFile(name)
		}
		if err != nil {
			return err
		}
	}
	for j, held := range s.mu.journals {
		if held.meta.version == 0 && held.damaged == nil {
			return &CorruptError{s.disk.path(j.String() + suffixMeta), 0, errors.New("files without a meta file")}
		}
		slices.SortFunc(held.files, func(a, b *file) int { return int(a.num) - int(b.num) })
		s.giveUp(held, held.meta.start().at)
	}
	s.recount()
	return nil
}

func (s *Store) loadFile(name string) error {
	j, num, ok := parseFileName(name)
	if !ok {
		return fmt.Errorf("journal directory holds %q, which is no journal file", name)
	}
	path := s.disk.path(name)
	reader, err := s.disk.fs.Open(path, 0)
	if err != nil {
		return err
	}
	f, err := s.disk.open(path, 0)
	if err != nil {
		return err
	}
	held := s.held(j)
	size, err := readFileHeader(f, j, num)
	if errors.Is(err, errDamaged) {
		f.Close()
		reader.Close()
		held.bad = append(held.bad, path)
		s.damage(j, held, &CorruptError{path, 0, err})
		return nil
	}
	if err != nil {
		return &CorruptError{path, 0, err}
	}
	held.files = append(held.files, &file{journal: j, num: num, path: path, size: size, f: f, reader: reader, complete: true})
	return nil
}

// errDamaged: what a disk or an accident may do to a file, unlike another version.
var errDamaged = errors.New("it can't be read")

func readFileHeader(f vfs.File, j id.Journal, num uint32) (size int64, err error) {
	head := vfs.Aligned(blockBytes)
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return 0, fmt.Errorf("%w: %w", errDamaged, err)
	}
	hj, hnum, size, err := parseFileHeader(head)
	if errors.Is(err, errNoEntry) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	} else if err == nil && (hj != j || hnum != num) {
		err = fmt.Errorf("%w: header names %v file %d", errDamaged, hj, hnum)
	}
	return size, err
}

// damage notes that something of one journal can't be read. The others can: their entries
// may be needed.
func (s *Store) damage(j id.Journal, held *journal, err error) {
	held.damaged = err
	s.log.Error("journal damaged on this disk, it is not used", "journal", j, "err", err)
}

// held returns the journal's entry, made if need be; s.mu is held or not yet shared.
func (s *Store) held(j id.Journal) *journal {
	h := s.mu.journals[j]
	if h == nil {
		h = &journal{gate: make(chan struct{}, 1), indexing: make(chan struct{}, 1)}
		s.mu.journals[j] = h
	}
	return h
}

// Journals lists the journals of which this store holds something that was not
// dropped, oldest first.
func (s *Store) Journals() []id.Journal {
	s.mu.Lock()
	defer s.mu.Unlock()
	var js []id.Journal
	for j, held := range s.mu.journals {
		if !held.dropped && held.meta.version != 0 {
			js = append(js, j)
		}
	}
	slices.SortFunc(js, id.Journal.Compare)
	return js
}

// Space returns how many bytes are free on the journal's disk, and how many there
// are in all.
func (s *Store) Space() (free, total int64, err error) { return s.disk.space() }

// Room looks at the disk.
func (s *Store) Room() Room { return s.budget.room(s.trimmedFiles()) }

// Untrimmed is how many bytes of journal files hold entries that are still needed.
func (s *Store) Untrimmed() int64 { return s.budget.untrimmed.Load() }

// Pressure returns how full the budget is: throttle from the soft watermark on, 0 below
// it to 1 at the hard one. Small batches count for more than they take of the disk. A disk
// with room for few more files counts as a budget that is nearly used up.
func (s *Store) Pressure() float64 { return s.budget.pressure() }
