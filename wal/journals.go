package wal

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"varve/internal/id"
	"varve/internal/notify"
)

// journals are the journals that a store holds something of.
//
// One lock guards what is held of all of them: what the budget has left, and which file is
// recycled next, depends on all files at one moment. Locks are taken in this order:
//
//  1. journal.gate
//  2. journal.indexing
//  3. Writer.mu
//  4. journals.mu
//  5. the lock of the recycler, the preallocator, a nextFile, the spares or a cache; only
//     one of these at a time
//
// Files are read, written and synced under the first two only, or under none. That holds for
// a file's io lock, too, but for close, which waits for readers with journals.mu held.
type journals struct {
	cfg     *Config
	disk    *disk
	budget  *budget
	indexes *indexes
	log     *slog.Logger
	work    notify.Signal // wakes the janitor

	mu struct {
		sync.Mutex
		of    map[id.Journal]*journal
		given []*file // given up: in no journal any more, to be taken away
	}
}

func newJournals(cfg *Config, d *disk, b *budget, log *slog.Logger, work notify.Signal) *journals {
	js := &journals{cfg: cfg, disk: d, budget: b, log: log, work: work}
	js.indexes = &indexes{disk: d, log: log, mu: &js.mu.Mutex}
	js.mu.of = map[id.Journal]*journal{}
	return js
}

// enter returns what is held of a journal, which begins here if nothing is; the lock is
// held, or js not yet shared.
func (js *journals) enter(j id.Journal) *journal {
	h := js.mu.of[j]
	if h == nil {
		h = &journal{id: j, in: js, gate: newGate(), indexing: newGate()}
		js.mu.of[j] = h
	}
	return h
}

// member returns what is held of a journal that was joined, or ErrUnknown. After a failed
// sync no one gets it.
func (js *journals) member(j id.Journal) (*journal, error) {
	if err := js.disk.intact(); err != nil {
		return nil, err
	}
	js.mu.Lock()
	defer js.mu.Unlock()
	h := js.mu.of[j]
	if h != nil && h.meta.version == 0 && h.damaged != nil {
		return nil, h.damaged
	}
	if h == nil || h.meta.version == 0 {
		return nil, fmt.Errorf("journal %v: %w", j, ErrUnknown)
	}
	return h, nil
}

// ids returns the journals that were joined and not dropped, oldest first.
func (js *journals) ids() (all []id.Journal) {
	js.mu.Lock()
	defer js.mu.Unlock()
	for j, h := range js.mu.of {
		if !h.dropped && h.meta.version != 0 {
			all = append(all, j)
		}
	}
	slices.SortFunc(all, id.Journal.Compare)
	return all
}

// file returns a journal's file; nil if it isn't here.
func (js *journals) file(j id.Journal, num uint32) *file {
	js.mu.Lock()
	defer js.mu.Unlock()
	if h := js.mu.of[j]; h != nil {
		return h.files.find(num)
	}
	return nil
}

// fileUpTo returns the file that pos is in; nil if it isn't here, or if end is after the
// last entry on this disk, where that is known. An entry that is committed and not on this
// disk yet is in memory.
func (js *journals) fileUpTo(j id.Journal, pos, end Pos) *file {
	js.mu.Lock()
	defer js.mu.Unlock()
	h := js.mu.of[j]
	if h == nil || h.known && end > h.tail {
		return nil
	}
	return h.files.find(pos.file())
}

// floor is Store.Floor.
func (js *journals) floor(j id.Journal) Pos {
	js.mu.Lock()
	defer js.mu.Unlock()
	if h := js.mu.of[j]; h != nil && len(h.files) > 0 {
		return makePos(h.files[0].num, 0)
	}
	return ^Pos(0)
}

// sealed is Store.Sealed.
func (js *journals) sealed(j id.Journal) (end uint64, ok bool) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if h := js.mu.of[j]; h != nil && h.meta.sealed {
		return h.meta.end, true
	}
	return 0, false
}

// trim is Store.TrimBefore.
func (js *journals) trim(j id.Journal, pos Pos, number uint64) {
	js.mu.Lock()
	if h := js.mu.of[j]; h != nil && h.known {
		h.files.trim(min(pos, h.tail), number)
	}
	js.recount()
	js.mu.Unlock()
	js.work.Set()
}

// recount tells the budget what the files count for; the lock is held, or js not yet
// shared. It comes with every new file, so that the budget lacks at most what was appended
// to the open files since.
func (js *journals) recount() {
	var n, weight int64
	for _, h := range js.mu.of {
		for _, f := range h.files {
			if !f.trimmed {
				n += f.size
				weight += f.weight(js.cfg)
			}
		}
	}
	js.budget.count(n, weight)
}

// trimmed returns how many files only cache what the bucket has.
func (js *journals) trimmed() (n int64) {
	js.mu.Lock()
	defer js.mu.Unlock()
	for _, h := range js.mu.of {
		for _, f := range h.files {
			if f.trimmed {
				n++
			}
		}
	}
	return n
}

// appends returns how many appends the files hold.
func (js *journals) appends() (n int64) {
	js.mu.Lock()
	defer js.mu.Unlock()
	for _, h := range js.mu.of {
		for _, f := range h.files {
			n += f.appends
		}
	}
	return n
}

// takeGiven takes one of the files that were given up; nil if there is none.
func (js *journals) takeGiven() *file {
	js.mu.Lock()
	defer js.mu.Unlock()
	n := len(js.mu.given)
	if n == 0 {
		return nil
	}
	f := js.mu.given[n-1]
	js.mu.given = js.mu.given[:n-1]
	return f
}

// takeTrimmed takes the oldest trimmed file out of its journal, if trimmed files weigh more
// than keep. Journals that skip reports keep theirs.
func (js *journals) takeTrimmed(keep int64, skip func(id.Journal) bool) *file {
	js.mu.Lock()
	defer js.mu.Unlock()
	var kept int64
	var oldest *file
	for _, h := range js.mu.of {
		for _, f := range h.files {
			if f.trimmed {
				kept += f.weight(js.cfg)
				if (oldest == nil || olderFile(f, oldest)) && !skip(f.journal) {
					oldest = f
				}
			}
		}
	}
	if oldest == nil || kept <= keep {
		return nil
	}
	h := js.mu.of[oldest.journal]
	h.passed = max(h.passed, oldest.final)
	h.files = slices.DeleteFunc(h.files, func(f *file) bool { return f == oldest })
	return oldest
}

// empty returns the journals that were dropped and have no files any more, but for those
// that skip reports.
func (js *journals) empty(skip func(id.Journal) bool) (all []*journal) {
	js.mu.Lock()
	defer js.mu.Unlock()
	for _, h := range js.mu.of {
		if h.dropped && len(h.files) == 0 && !skip(h.id) {
			all = append(all, h)
		}
	}
	return all
}

// forget ends what is held of a journal, of which nothing is on the disk any more.
func (js *journals) forget(h *journal) {
	js.mu.Lock()
	defer js.mu.Unlock()
	delete(js.mu.of, h.id)
}

// writeIndexes stores the index of every full file that has none yet.
func (js *journals) writeIndexes() {
	js.mu.Lock()
	var all []*journal
	for _, h := range js.mu.of {
		all = append(all, h)
	}
	js.mu.Unlock()
	for _, h := range all {
		h.writeIndexes()
	}
}

// close ends all reading of files.
func (js *journals) close() {
	js.mu.Lock()
	defer js.mu.Unlock()
	end := func(f *file) {
		f.retire()
		f.close()
	}
	for _, h := range js.mu.of {
		for _, f := range h.files {
			end(f)
		}
	}
	for _, f := range js.mu.given {
		end(f)
	}
}
