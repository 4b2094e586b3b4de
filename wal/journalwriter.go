package wal

import (
	"errors"

	"varve/internal/id"
	"varve/internal/notify"
)

// journalWriter is one journal of a writer: where its entries are and how far they got.
// Its fields are guarded by Writer.mu, but for those that never change.
type journalWriter struct {
	w     *Writer
	id    id.Journal
	held  *journal
	rep   Replication // nil: this store alone
	files *nextFile
	wake  notify.Signal // something for the disk

	open     *entry
	line     []*entry // closed, oldest first; settled ones are taken out
	file     *file    // takes the next entry
	at       int64    // where in it
	chunk    *chunk   // takes the next entry
	number   uint64   // of the newest entry
	closed   uint64   // the newest entry that won't change any more
	stored   uint64   // on this disk up to here
	bound    uint64   // owners may be notified up to here
	notified uint64   // committed, and the owners know
	frozen   bool     // bound stays
	left     bool     // the writer has moved on: nothing beyond notified is this journal's
}

// newJournalWriter prepares a journal that was joined, and never used, for appends.
func (w *Writer) newJournalWriter(j id.Journal, rep Replication) (*journalWriter, error) {
	s := w.store
	h, err := s.journals.member(j)
	if err != nil {
		return nil, err
	}
	h.gate.lock()
	defer h.gate.unlock()
	if h.used() {
		return nil, errors.New("it was used before")
	}
	files := s.files.ahead(h, w.freed)
	if files.size != s.cfg.FileBytes {
		return nil, errors.New("it was joined with another size of files")
	}
	f, err := s.files.file(h, 0, files.size)
	if err != nil {
		return nil, err
	}
	h.writtenBy(w)
	return &journalWriter{w: w, id: j, held: h, rep: rep, files: files, wake: notify.NewSignal(), file: f, at: blockBytes}, nil
}

// begin starts the goroutine that writes a journal to the disk.
func (w *Writer) begin(jw *journalWriter) {
	jw.files.want(1)
	w.disks.Add(1)
	go jw.run()
}

// add copies a body into the open entry.
func (jw *journalWriter) add(rec *Record, body []byte, owner Owner) error {
	e, err := jw.entryFor(int64(len(body)))
	if err != nil {
		return err
	}
	rec.BodyAt = uint32(e.used)
	copy(e.bytes()[e.used:], body)
	e.used += int64(len(body))
	e.dir = appendRecord(e.dir, rec)
	e.owners = append(e.owners, ownedBody{owner, rec.BodyAt})
	if len(e.owners) == 1 {
		jw.wake.Set()
		if jw.rep != nil && jw.notified == jw.closed {
			jw.w.notify.Set()
		}
	}
	return nil
}

// entryFor returns the open entry with room for n more bytes, opening one if need
// be.
func (jw *journalWriter) entryFor(n int64) (*entry, error) {
	if e := jw.open; e != nil {
		limit := min(int64(len(e.chunk.buf))-e.from, e.file.size-e.header.pos.off())
		if e.length(n) <= limit {
			return e, nil
		}
		jw.closeEntry()
	}
	need := alignUp(entryHeaderBytes + n + RecordBytes)
	if err := jw.makeRoom(need); err != nil {
		return nil, err
	}
	jw.number++
	e := newEntry()
	e.number, e.file, e.chunk, e.from, e.used = jw.number, jw.file, jw.chunk, jw.at-jw.chunk.start, entryHeaderBytes
	e.header = header{journal: jw.id, number: e.number, pos: makePos(e.file.num, jw.at)}
	e.chunk.pending.Add(1)
	jw.open = e
	return e, nil
}

// makeRoom sees to it that file and chunk have need bytes at jw.at.
func (jw *journalWriter) makeRoom(need int64) error {
	s := jw.w.store
	if jw.at+need > jw.file.size {
		next := jw.files.take()
		if next == nil {
			return jw.files.why()
		}
		jw.finishChunk()
		jw.held.complete(jw.w, jw.file, jw.number)
		jw.file, jw.at = next, blockBytes
		jw.files.want(next.num + 1)
	}
	c := jw.chunk
	if c != nil && jw.at-c.start+need <= int64(len(c.buf)) {
		return nil
	}
	jw.finishChunk()
	if jw.chunk = s.cache.take(jw.id, jw.file.num, jw.at, need, jw.w.mu.switching); jw.chunk == nil {
		return errBusy
	}
	return nil
}

// finishChunk lets the chunk be evicted once its entries are settled.
func (jw *journalWriter) finishChunk() {
	if c := jw.chunk; c != nil {
		c.pending.Add(-1)
		jw.chunk = nil
	}
}

// closeEntry makes the open entry final: disks and members may have it.
func (jw *journalWriter) closeEntry() {
	e := jw.open
	jw.open = nil
	h := &e.header
	h.dirAt, h.dirLen, h.dirCRC = uint32(e.used), uint32(len(e.dir)), sum(e.dir)
	h.length, h.durable = uint32(e.length(-RecordBytes)), jw.stored
	b := e.bytes()[:h.length]
	h.put(b)
	clear(b[copy(b[e.used:], e.dir)+int(e.used):])
	jw.at += int64(h.length)
	jw.w.store.cache.grow(e.chunk, e.end())
	jw.line = append(jw.line, e)
	jw.closed = e.number
	if jw.rep != nil {
		jw.rep.Closed(e.number, makePos(e.file.num, jw.at))
	}
}

// nth returns a closed entry that is not settled.
func (jw *journalWriter) nth(number uint64) *entry { return jw.line[number-jw.line[0].number] }

// settle lets go of entries that are both committed and on this disk.
func (jw *journalWriter) settle() {
	upTo := min(jw.stored, jw.notified)
	n, free := 0, false
	for ; n < len(jw.line) && jw.line[n].number <= upTo; n++ {
		e := jw.line[n]
		jw.held.settled(jw.w, e.file, &e.header, e.dir)
		free = e.chunk.pending.Add(-1) == 0 || free
		freeEntry(e)
	}
	clear(jw.line[:n])
	if n == len(jw.line) {
		jw.line = jw.line[:0]
	} else {
		jw.line = jw.line[n:]
	}
	if free {
		jw.w.freedLocked()
	}
}
