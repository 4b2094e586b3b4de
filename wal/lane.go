package wal

import (
	"errors"

	"varve/internal/id"
)

// lane is one journal of a writer: where its entries are and how far they got.
// Its fields are guarded by Writer.mu, but for those that never change.
type lane struct {
	w     *Writer
	id    id.Journal
	held  *journal
	rep   Replication // nil: this store alone
	files *nextFile
	wake  chan struct{} // something for the disk

	open   *entry
	line   []*entry // closed, oldest first; settled ones are taken out
	file   *file    // takes the next entry
	at     int64    // where in it
	chunk  *chunk   // takes the next entry
	number uint64   // of the newest entry
	closed uint64   // the newest entry that won't change any more
	stored uint64   // on this disk up to here
	bound  uint64   // may be told as committed up to here
	told   uint64   // committed, and the owners know
	frozen bool     // bound stays
	left   bool     // the writer has moved on: nothing beyond told is this journal's
}

// newLane prepares a journal that was joined, and never used, for appends.
func (w *Writer) newLane(j id.Journal, rep Replication) (*lane, error) {
	s := w.store
	h, err := s.journals.member(j)
	if err != nil {
		return nil, err
	}
	h.gate <- struct{}{}
	defer func() { <-h.gate }()
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
	return &lane{w: w, id: j, held: h, rep: rep, files: files, wake: make(chan struct{}, 1), file: f, at: blockBytes}, nil
}

// begin starts the lane's disk goroutine.
func (w *Writer) begin(l *lane) {
	l.files.want(1)
	w.disks.Add(1)
	go l.run()
}

// add copies a body into the open entry.
func (l *lane) add(rec *Record, body []byte, owner Owner) error {
	e, err := l.entryFor(int64(len(body)))
	if err != nil {
		return err
	}
	rec.BodyAt = uint32(e.used)
	copy(e.bytes()[e.used:], body)
	e.used += int64(len(body))
	e.dir = appendRecord(e.dir, rec)
	e.owners = append(e.owners, ownedBody{owner, rec.BodyAt})
	if len(e.owners) == 1 {
		signal(l.wake)
		if l.rep != nil && l.told == l.closed {
			signal(l.w.tell)
		}
	}
	return nil
}

// entryFor returns the open entry with room for n more bytes, opening one if need
// be.
func (l *lane) entryFor(n int64) (*entry, error) {
	if e := l.open; e != nil {
		limit := min(int64(len(e.chunk.buf))-e.from, e.file.size-e.header.pos.off())
		if e.length(n) <= limit {
			return e, nil
		}
		l.closeEntry()
	}
	need := alignUp(entryHeaderBytes + n + RecordBytes)
	if err := l.makeRoom(need); err != nil {
		return nil, err
	}
	l.number++
	e := newEntry()
	e.number, e.file, e.chunk, e.from, e.used = l.number, l.file, l.chunk, l.at-l.chunk.start, entryHeaderBytes
	e.header = header{journal: l.id, number: e.number, pos: makePos(e.file.num, l.at)}
	e.chunk.pending.Add(1)
	l.open = e
	return e, nil
}

// makeRoom sees to it that file and chunk have need bytes at l.at.
func (l *lane) makeRoom(need int64) error {
	s := l.w.store
	if l.at+need > l.file.size {
		next := l.files.take()
		if next == nil {
			return l.files.why()
		}
		l.finishChunk()
		l.held.complete(l.w, l.file, l.number)
		l.file, l.at = next, blockBytes
		l.files.want(next.num + 1)
	}
	c := l.chunk
	if c != nil && l.at-c.start+need <= int64(len(c.buf)) {
		return nil
	}
	l.finishChunk()
	if l.chunk = s.cache.take(l.id, l.file.num, l.at, need, l.w.mu.switching); l.chunk == nil {
		return errBusy
	}
	return nil
}

// finishChunk lets the chunk be evicted once its entries are settled.
func (l *lane) finishChunk() {
	if c := l.chunk; c != nil {
		c.pending.Add(-1)
		l.chunk = nil
	}
}

// closeEntry makes the open entry final: disks and members may have it.
func (l *lane) closeEntry() {
	e := l.open
	l.open = nil
	h := &e.header
	h.dirAt, h.dirLen, h.dirCRC = uint32(e.used), uint32(len(e.dir)), sum(e.dir)
	h.length, h.durable = uint32(e.length(-RecordBytes)), l.stored
	b := e.bytes()[:h.length]
	h.put(b)
	clear(b[copy(b[e.used:], e.dir)+int(e.used):])
	l.at += int64(h.length)
	l.w.store.cache.grow(e.chunk, e.behind())
	l.line = append(l.line, e)
	l.closed = e.number
	if l.rep != nil {
		l.rep.Closed(e.number, makePos(e.file.num, l.at))
	}
}

// nth returns a closed entry that is not settled.
func (l *lane) nth(number uint64) *entry { return l.line[number-l.line[0].number] }

// settle lets go of entries that are both committed and on this disk.
func (l *lane) settle() {
	upTo := min(l.stored, l.told)
	n, free := 0, false
	for ; n < len(l.line) && l.line[n].number <= upTo; n++ {
		e := l.line[n]
		l.held.settled(l.w, e.file, &e.header, e.dir)
		free = e.chunk.pending.Add(-1) == 0 || free
		freeEntry(e)
	}
	clear(l.line[:n])
	if n == len(l.line) {
		l.line = l.line[:0]
	} else {
		l.line = l.line[n:]
	}
	if free {
		l.w.freedLocked()
	}
}
