package wal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"varve/internal/id"
)

// Owner is told what became of its append. The calls come from one goroutine,
// in the order of the appends, and must not block.
type Owner interface {
	// Committed: the append is durable where it must be; its body lies at pos, in
	// the entry of that number.
	Committed(pos Pos, number uint64)
	// Failed: this journal will never acknowledge the append.
	Failed(err error)
}

// Writer appends to one open journal. While one entry is being synced, what
// arrives fills the next: natural group commit, without timers.
//
// Invariant: entries are written one at a time, in order; number n is written
// only after n-1 is durable.
type Writer struct {
	store *Store
	id    id.Journal

	// Durable, if it was set at Create, is told the number of each entry that this
	// store has made durable; then Commit decides. Without it durable is committed.
	onDurable func(number uint64)

	mu struct {
		sync.Mutex
		open   *entry
		queue  []*entry // closed entries that wait to be written
		file   *file    // takes the next entry
		at     int64    // where in it
		chunk  *chunk   // takes the next entry
		next   *file    // prepared to follow file
		number uint64   // of the newest entry
		err    error    // why no more appends are taken
	}
	wake      chan struct{} // something to write
	room      chan struct{} // closed and replaced when room may have become free
	durable   atomic.Uint64
	committed atomic.Uint64

	commits chan *entry // durable entries, in order
	bound   chan uint64 // Commit's numbers
	stop    chan struct{}
	done    sync.WaitGroup
}

// entry is an entry in the making, or on its way to the disk.
type entry struct {
	number uint64
	file   *file
	chunk  *chunk
	from   int64 // where in the chunk it begins
	used   int64 // header and bodies
	dir    []byte
	owners []ownedBody
	header header
}

type ownedBody struct {
	owner Owner
	at    uint32
}

func (e *entry) bytes() []byte { return e.chunk.buf[e.from:] }

// length is what the entry would take with one more body of n bytes.
func (e *entry) length(n int64) int64 {
	return alignUp(e.used + n + int64(len(e.dir)) + RecordBytes)
}

// errBusy: there is no room in memory, or no file, at this moment.
var errBusy = fmt.Errorf("journal is busy")

// IsBusy says that Append found no room now; Wait and try again.
func IsBusy(err error) bool { return err == errBusy }

// Append copies body into the open entry. rec says what it is; Append fills in
// where it lies. Appends of one goroutine keep their order. It never blocks: it
// may answer busy (see IsBusy), ErrFull, ErrTooLarge or ErrClosed, and then the
// owner hears nothing. Otherwise the owner hears exactly once.
func (w *Writer) Append(rec *Record, body []byte, owner Owner) error {
	if len(body) > w.store.cfg.MaxAppendBytes() {
		return ErrTooLarge
	}
	rec.Size = uint32(len(body))
	rec.headCRC = sum(body[:BodySumFrom])
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.err != nil {
		return w.mu.err
	}
	e, err := w.entryFor(int64(len(body)))
	if err != nil {
		return err
	}
	rec.BodyAt = uint32(e.used)
	copy(e.bytes()[e.used:], body)
	e.used += int64(len(body))
	e.dir = appendRecord(e.dir, rec)
	e.owners = append(e.owners, ownedBody{owner, rec.BodyAt})
	if len(e.owners) == 1 {
		signal(w.wake)
	}
	return nil
}

// entryFor gives the open entry with room for n more bytes, opening one if need
// be.
func (w *Writer) entryFor(n int64) (*entry, error) {
	if e := w.mu.open; e != nil {
		limit := min(int64(len(e.chunk.buf))-e.from, e.file.size-e.header.pos.off())
		if e.length(n) <= limit {
			return e, nil
		}
		w.closeEntry()
	}
	need := alignUp(entryHeaderBytes + n + RecordBytes)
	if err := w.makeRoom(need); err != nil {
		return nil, err
	}
	c := w.mu.chunk
	w.mu.number++
	e := newEntry()
	e.number, e.file, e.chunk, e.from, e.used = w.mu.number, w.mu.file, c, w.mu.at-c.start, entryHeaderBytes
	e.header = header{journal: w.id, number: e.number, pos: makePos(e.file.num, w.mu.at)}
	c.pending.Add(1)
	w.mu.open = e
	return e, nil
}

// makeRoom sees to it that file and chunk have need bytes at w.mu.at.
func (w *Writer) makeRoom(need int64) error {
	if w.mu.at+need > w.mu.file.size {
		if w.mu.next == nil {
			return w.store.whyNoFile(w)
		}
		w.finishChunk()
		w.store.complete(w.mu.file, w.mu.number)
		w.mu.file, w.mu.next, w.mu.at = w.mu.next, nil, blockBytes
		w.store.prepareFor(w)
	}
	c := w.mu.chunk
	if c != nil && w.mu.at-c.start+need <= int64(len(c.buf)) {
		return nil
	}
	w.finishChunk()
	if w.mu.chunk = w.store.cache.take(w.id, w.mu.file.num, w.mu.at, need); w.mu.chunk == nil {
		return errBusy
	}
	return nil
}

// finishChunk lets the chunk be evicted once its entries are committed.
func (w *Writer) finishChunk() {
	if c := w.mu.chunk; c != nil {
		c.pending.Add(-1)
		w.mu.chunk = nil
	}
}

// closeEntry makes the open entry ready to be written.
func (w *Writer) closeEntry() {
	e := w.mu.open
	w.mu.open = nil
	h := &e.header
	h.dirAt, h.dirLen, h.dirCRC = uint32(e.used), uint32(len(e.dir)), sum(e.dir)
	h.length = uint32(e.length(-RecordBytes))
	b := e.bytes()[:h.length]
	clear(b[copy(b[e.used:], e.dir)+int(e.used):])
	w.mu.at += int64(h.length)
	w.store.cache.grow(e.chunk, e.from+int64(h.length))
	w.mu.queue = append(w.mu.queue, e)
}

// Wait returns when room may have become free, or with ctx's or the journal's
// error.
func (w *Writer) Wait(ctx context.Context, room <-chan struct{}) error {
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return ErrClosed
	}
}

// Room gives a channel that is closed when room may have become free. Take it
// before the Append that might be busy.
func (w *Writer) Room() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.room
}

func (w *Writer) freed() {
	w.mu.Lock()
	close(w.room)
	w.room = make(chan struct{})
	w.mu.Unlock()
}

// run writes entries until the journal is closed.
func (w *Writer) run() {
	defer w.done.Done()
	defer close(w.commits)
	for {
		e := w.take()
		if e == nil {
			select {
			case <-w.wake:
				continue
			case <-w.stop:
				if e = w.take(); e == nil {
					return
				}
			}
		}
		if err := w.write(e); err != nil {
			w.fail(err, e)
			return
		}
		w.durable.Store(e.number)
		w.commits <- e
		if w.onDurable != nil {
			w.onDurable(e.number)
		}
	}
}

// take gives the next entry to write, closing the open one if no other waits.
func (w *Writer) take() *entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.mu.queue) == 0 {
		if w.mu.open == nil {
			return nil
		}
		w.closeEntry()
	}
	e := w.mu.queue[0]
	w.mu.queue = append(w.mu.queue[:0], w.mu.queue[1:]...)
	return e
}

func (w *Writer) write(e *entry) error {
	e.header.durable = w.durable.Load()
	b := e.bytes()[:e.header.length]
	e.header.put(b)
	started := w.store.clock()
	if _, err := e.file.f.WriteAt(b, e.header.pos.off()); err != nil {
		return fmt.Errorf("write journal entry %d: %w", e.number, err)
	}
	if err := e.file.f.Sync(); err != nil {
		return fmt.Errorf("sync journal entry %d: %w", e.number, err)
	}
	w.store.metrics.wrote(len(b), len(e.owners), w.store.clock().Sub(started))
	return nil
}

// fail ends the journal: nothing that was not committed ever will be.
func (w *Writer) fail(err error, e *entry) {
	w.mu.Lock()
	if w.mu.err == nil {
		w.mu.err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	failed := append([]*entry{e}, w.mu.queue...)
	if w.mu.open != nil {
		failed = append(failed, w.mu.open)
	}
	w.mu.queue, w.mu.open = nil, nil
	err = w.mu.err
	w.mu.Unlock()
	w.freed() // who waits for room learns of the end
	w.store.fatal(err)
	for _, e := range failed {
		for _, o := range e.owners {
			o.owner.Failed(err)
		}
	}
}

// commit tells the owners, in order, as far as the bound says.
func (w *Writer) commit() {
	defer w.done.Done()
	var bound uint64
	for e := range w.commits {
		for w.onDurable != nil && bound < e.number {
			select {
			case n := <-w.bound:
				bound = max(bound, n)
			case <-w.stop:
				w.abandon(e)
				return
			}
		}
		w.deliver(e)
	}
}

func (w *Writer) abandon(e *entry) {
	for ok := true; ok; e, ok = <-w.commits {
		for _, o := range e.owners {
			o.owner.Failed(ErrClosed)
		}
	}
}

func (w *Writer) deliver(e *entry) {
	w.store.noteCommitted(e)
	for i := range e.owners {
		o := &e.owners[i]
		o.owner.Committed(e.header.pos+Pos(o.at), e.number)
	}
	w.committed.Store(e.number) // last: who sees the number finds that the owners know
	if e.chunk.pending.Add(-1) == 0 {
		w.freed()
	}
	freeEntry(e)
}

// Commit says that entries up to number are committed. Only for journals that
// were created with a Durable hook; calls must be from one goroutine.
func (w *Writer) Commit(number uint64) {
	select {
	case w.bound <- number:
	case <-w.stop:
	}
}

// ID is the journal's.
func (w *Writer) ID() id.Journal { return w.id }

// Committed is the number of the newest entry that is committed and whose owners
// were told.
func (w *Writer) Committed() uint64 { return w.committed.Load() }

// Close takes no more appends, writes what was appended, tells the owners and
// waits for all that. The journal stays open as far as recovery is concerned.
func (w *Writer) Close() {
	w.mu.Lock()
	if w.mu.err == nil {
		w.mu.err = ErrClosed
	}
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.mu.Unlock()
	w.done.Wait()
	w.store.unwant(w)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var entries = sync.Pool{New: func() any { return new(entry) }}

func newEntry() *entry { return entries.Get().(*entry) }

func freeEntry(e *entry) {
	clear(e.owners)
	*e = entry{dir: e.dir[:0], owners: e.owners[:0]}
	entries.Put(e)
}
