package wal

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"varve/internal/id"
	"varve/internal/vfs"
)

// recycler takes away the files that are no longer needed, when the janitor calls it: to
// be used again, or for good.
type recycler struct {
	cfg      *Config
	disk     *disk
	spares   *spares
	journals *journals
	starved  func() bool // a writer or follower gets no file
	log      *slog.Logger

	mu struct {
		sync.Mutex
		stuck []*file // taken out of their journals, but not away yet
	}
}

// run takes files that were given up, then trimmed ones, oldest first, while more is kept
// than should be. A file that fails is tried again next time. Until then its journal frees
// no other: without a file in the middle it would be damaged.
func (r *recycler) run() {
	r.spares.shrink()
	r.mu.Lock()
	stuck := r.mu.stuck
	r.mu.stuck = nil
	r.mu.Unlock()
	for _, f := range stuck {
		r.recycle(f)
	}
	for f := r.next(); f != nil; f = r.next() {
		r.recycle(f)
	}
	r.forgetEmpty()
}

// next returns a file that is to be taken away, and is no longer in its journal; nil if
// there is none.
func (r *recycler) next() *file {
	if f := r.journals.takeGiven(); f != nil {
		return f
	}
	keep := r.cfg.KeepBytes
	if r.spares.short() || r.starved() {
		keep = 0
	}
	return r.journals.takeTrimmed(keep, r.isStuck)
}

// recycle makes a spare of a file, or removes it.
func (r *recycler) recycle(f *file) {
	f.retire()
	f.close()
	err := r.remove(f)
	if err == nil || errors.Is(err, vfs.ErrNotExist) { // an earlier attempt got so far
		return
	}
	r.log.Warn("journal file not recycled, retrying", "file", f.path, "err", err)
	r.mu.Lock()
	r.mu.stuck = append(r.mu.stuck, f)
	r.mu.Unlock()
}

func (r *recycler) remove(f *file) error {
	r.journals.indexes.remove(f)
	if r.spares.keeps(f.size) {
		return r.spares.put(f.path)
	}
	return r.disk.remove(f.path)
}

// isStuck reports whether a file of the journal could not be removed.
func (r *recycler) isStuck(j id.Journal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.mu.stuck, func(f *file) bool { return f.journal == j })
}

// forgetEmpty removes the meta files of dropped journals without files: a start refuses
// files that have none.
func (r *recycler) forgetEmpty() {
	for _, h := range r.journals.empty(r.isStuck) {
		if err := r.removeRest(h); err != nil {
			r.log.Warn("files of a deleted journal not removed", "journal", h.id, "err", err)
			continue
		}
		r.journals.forget(h)
	}
}

// removeRest removes a journal's unreadable files, then its meta file.
func (r *recycler) removeRest(h *journal) error {
	for _, path := range h.bad {
		if err := r.disk.remove(path); err != nil && !errors.Is(err, vfs.ErrNotExist) {
			return err
		}
	}
	return r.disk.remove(r.disk.path(metaName(h.id)))
}
