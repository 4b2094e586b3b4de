package wal

import (
	"fmt"
	"slices"

	"varve/internal/id"
)

// journal is what a store holds of one journal: of its own, or a copy.
type journal struct {
	id id.Journal
	in *journals // which it is one of

	// gate is held by the one that writes to the journal's files or
	// changes its meta file, so that nothing from below a fence becomes durable
	// after it.
	gate gate
	// indexing is held while an index is written, and by the one that takes a file's index
	// back to go on writing the file. Taken after gate.
	indexing gate

	// Guarded by journals.mu.
	files    fileList
	meta     meta
	known    bool     // written or recovered by this process: what follows is true
	last     uint64   // the highest entry that is durable here, with all before it
	tail     Pos      // after it
	passed   uint64   // the highest entry of files that were taken away
	dropped  bool     // no longer needed, all of it
	damaged  error    // something of it can't be read: nothing is said of what it holds
	bad      []string // paths of the files of which that is so; set at the start
	writer   *Writer
	follower *Follower
}

func errDropped(j id.Journal) error { return fmt.Errorf("journal %v was dropped: %w", j, ErrUnknown) }

// damage notes that something of the journal can't be read; h is not yet shared. The other
// journals can be: their entries may be needed.
func (h *journal) damage(err error) {
	h.damaged = err
	h.in.log.Error("journal damaged on this disk, it is not used", "journal", h.id, "err", err)
}

// damageErr returns why nothing can be said of what is held, or nil.
func (h *journal) damageErr() error {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return h.damaged
}

// stored returns what the meta file says.
func (h *journal) stored() meta {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return h.meta
}

// fileBytes returns the size of the journal's files.
func (h *journal) fileBytes() int64 {
	if n := h.stored().fileBytes; n != 0 {
		return int64(n)
	}
	return h.in.cfg.FileBytes
}

// durable returns the last entry that is on disk, with everything before it.
func (h *journal) durable() uint64 {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return h.last
}

// lastEntry returns the last entry that counts: none beyond a seal does.
func (h *journal) lastEntry() uint64 {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	if h.meta.sealed {
		return min(h.last, h.meta.end)
	}
	return h.last
}

// end returns the place after the last entry.
func (h *journal) end() Pos {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return h.tail
}

// beginAt makes a place the end of a journal without files.
func (h *journal) beginAt(at Pos) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.tail = at
}

// file returns a file, nil if it isn't here, and whether the journal was dropped.
func (h *journal) file(num uint32) (f *file, dropped bool) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return h.files.find(num), h.dropped
}

// has reports whether a file is still the journal's.
func (h *journal) has(f *file) bool {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return h.files.find(f.num) == f
}

// from returns the files from a number on, in a new list.
func (h *journal) from(num uint32) []*file {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return h.files.from(num)
}

// add adds a file that was made for the journal.
func (h *journal) add(f *file) error {
	js := h.in
	js.mu.Lock()
	defer js.mu.Unlock()
	if h.dropped { // meanwhile: no one would ever trim it
		js.mu.given = append(js.mu.given, f)
		js.work.Set()
		return errDropped(h.id)
	}
	h.files = append(h.files, f)
	h.giveUp(h.meta.start().at) // this one, if it was asked for before a skip
	js.recount()
	return nil
}

// giveUp takes the files before a place out of the journal, to be taken away; journals.mu
// is held, or h not yet shared.
func (h *journal) giveUp(at Pos) {
	var before []*file
	before, h.files = h.files.split(at.file())
	h.in.mu.given = append(h.in.mu.given, before...)
}

// used reports whether the journal isn't as it was when it was joined.
func (h *journal) used() bool {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return len(h.files) > 0 || h.meta.fence > 0 || h.meta.sealed
}

// writtenBy makes the journal, which was never used, w's.
func (h *journal) writtenBy(w *Writer) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.known, h.tail, h.writer = true, First, w
}

// complete notes that a file takes no entries beyond last.
func (h *journal) complete(w *Writer, f *file, last uint64) {
	h.in.mu.Lock()
	if h.writer != w {
		h.in.mu.Unlock()
		return
	}
	f.complete, f.final = true, last
	h.in.mu.Unlock()
	h.in.work.Set()
}

// wrote notes up to where the writer has made the journal durable here, unless it was taken
// from it.
func (h *journal) wrote(w *Writer, last uint64, end Pos) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	if h.writer == w {
		h.last, h.tail = last, end
	}
}

// settled keeps the directory of an entry that its writer has committed and made
// durable here, for the file's index; unless the journal was taken from it, or dropped:
// then not all of it was written.
func (h *journal) settled(w *Writer, f *file, head *header, dir []byte) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	if h.writer != w || h.dropped {
		return
	}
	f.last = head.number
	f.appends += appendsIn(dir)
	f.end.Store(head.pos.off() + int64(head.length))
	f.dirs = appendDir(f.dirs, head, dir)
	if f.full() {
		h.in.work.Set()
	}
}

// synced counts what a follower made durable.
func (h *journal) synced(u *unsynced) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	f := u.file
	f.last = u.last
	f.appends += u.n
	f.end.Store(u.end)
	f.dirs = joinDirs(f.dirs, u.dirs)
	h.last, h.tail = u.last, makePos(f.num, u.end)
	if f.full() {
		h.in.work.Set()
	}
}

// snapshot returns the files, and the last entry to be read from them: not beyond where the
// journal was decided to end, nor what is added from now on.
func (h *journal) snapshot() (files []*file, end uint64) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	for _, f := range h.files {
		end = max(end, f.last)
	}
	if h.meta.sealed {
		end = min(end, h.meta.end)
	}
	return slices.Clone(h.files), end
}

// writeIndexes stores the index of every full file that has none yet.
func (h *journal) writeIndexes() {
	h.indexing.lock()
	defer h.indexing.unlock()
	h.in.mu.Lock()
	todo := h.files.unindexed()
	h.in.mu.Unlock()
	for _, f := range todo {
		h.in.indexes.write(f)
	}
}
