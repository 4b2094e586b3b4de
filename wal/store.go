package wal

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/internal/notify"
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
	cfg      *Config
	id       id.Store
	disk     *disk
	lock     io.Closer
	budget   *budget
	journals *journals
	files    *preallocator
	cache    *cache // what is being written, and was just written
	reads    *reader
	janitor  *janitor
	metrics  *metrics
	clock    func() time.Time
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
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s, err := open(&cfg, o, lock)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return s, nil
}

// open makes the parts of a store, and reads what the directory has.
func open(cfg *Config, o Options, lock io.Closer) (*Store, error) {
	d := &disk{fs: o.FS, dir: cfg.Dir, direct: cfg.Direct, fatal: o.Fatal}
	name, err := d.loadID(o.Random)
	if err != nil {
		return nil, err
	}
	work := notify.NewSignal()
	pool := &spares{cfg: cfg, disk: d, log: o.Log}
	b := &budget{cfg: cfg, disk: d, spares: pool, log: o.Log}
	js := newJournals(cfg, d, b, o.Log, work)
	files := &preallocator{disk: d, spares: pool, budget: b, journals: js, log: o.Log, work: work}
	recent := newCache(cfg.CacheBytes, cfg.ChunkBytes, time.Now)
	m := newMetrics(o.Registry, b, pool)
	reads := &reader{journals: js, tail: recent, files: newReadCache(js, cfg.ReadBytes), bytes: m.readBytes}
	if err := js.load(pool); err != nil {
		return nil, err
	}
	r := &recycler{cfg: cfg, disk: d, spares: pool, journals: js, starved: files.starved, log: o.Log}
	t := startJanitor(r, b, js, []*cache{recent, reads.files.cache}, files, work)
	return &Store{cfg: cfg, id: name, disk: d, lock: lock, budget: b, journals: js, files: files, cache: recent, reads: reads,
		janitor: t, metrics: m, clock: o.Clock}, nil
}

// ID is the store id, made when the directory was formatted.
func (s *Store) ID() id.Store { return s.id }

// Close ends the store's own work. Writers must be closed before.
func (s *Store) Close() error {
	s.janitor.close()
	s.reads.files.done.Wait()
	s.journals.close()
	s.reads.close()
	return s.lock.Close()
}

// Journals lists the journals of which this store holds something that was not
// dropped, oldest first.
func (s *Store) Journals() []id.Journal { return s.journals.ids() }

// Space returns how many bytes are free on the journal's disk, and how many there
// are in all.
func (s *Store) Space() (free, total int64, err error) { return s.disk.space() }

// Room looks at the disk.
func (s *Store) Room() Room { return s.budget.room(s.journals.trimmed()) }

// Untrimmed is how many bytes of journal files hold entries that are still needed.
func (s *Store) Untrimmed() int64 { return s.budget.untrimmed.Load() }

// Pressure returns how full the budget is: throttle from the soft watermark on, 0 below
// it to 1 at the hard one. Small batches count for more than they take of the disk. A disk
// with room for few more files counts as a budget that is nearly used up.
func (s *Store) Pressure() float64 { return s.budget.pressure() }
