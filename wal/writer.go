package wal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"varve/internal/id"
	"varve/internal/notify"
)

// Owner is told what became of its append. The calls come from one goroutine,
// in the order of the appends, and must not block.
type Owner interface {
	// Committed: the append is durable where it must be; its body is at pos in
	// journal j, in the entry of that number.
	Committed(j id.Journal, pos Pos, number uint64)
	// Failed: this writer will never acknowledge the append.
	Failed(err error)
}

// Replication is what a writer tells of a journal that other stores keep as well.
// The calls must not block, and not call the writer back but for Commit.
type Replication interface {
	// Closed: the entries up to number, which ends at a place, won't change any more
	// and may be sent. The writer's lock is held.
	Closed(number uint64, end Pos)
	// Durable: this store has the entries up to number on disk.
	Durable(number uint64)
}

// Writer appends to one open journal, and moves on to the next with Switch. What
// arrives while an entry is on its way fills the next: natural group commit,
// without timers. An entry is closed as soon as this disk is idle, or all that was
// closed before is committed: neither a slow disk here nor a slow member alone
// holds up the others.
//
// Invariant: this disk writes entries in order; number n is written only after n-1,
// and synced before, unless one write holds both.
type Writer struct {
	store *Store

	mu struct {
		sync.Mutex
		current   *journalWriter // takes the appends
		prepared  *journalWriter // of the next journal
		carry     []*entry
		switching bool  // appends wait until what was carried over is in place
		err       error // why no more appends are taken
		failed    bool  // what is not committed never will be
	}
	room      chan struct{} // closed and replaced when room may have become free; guarded by mu
	committed atomic.Uint64

	notify notify.Signal // something to do for the notifier
	stop   chan struct{} // no more appends: write what there is
	quit   chan struct{} // the disk goroutines are done
	ended  chan struct{} // closed once failed
	disks  sync.WaitGroup
	done   sync.WaitGroup
}

// Create opens a journal that was joined for appends. With rep nil what is durable
// here is committed; otherwise Commit tells what is.
func (s *Store) Create(j id.Journal, rep Replication) (*Writer, error) {
	w := &Writer{store: s, room: make(chan struct{}), notify: notify.NewSignal(),
		stop: make(chan struct{}), quit: make(chan struct{}), ended: make(chan struct{})}
	jw, err := w.newJournalWriter(j, rep)
	if err != nil {
		return nil, fmt.Errorf("create journal %v: %w", j, err)
	}
	w.mu.current = jw
	w.begin(jw)
	w.done.Add(1)
	go w.notifier()
	return w, nil
}

// errBusy: there is no room in memory, or no file, at this moment.
var errBusy = errors.New("journal is busy")

// IsBusy reports whether Append found no room; Wait and try again.
func IsBusy(err error) bool { return err == errBusy }

// Append copies body into the open entry. rec describes it; Append fills in
// where it is. Appends of one goroutine keep their order. It never blocks. If
// it returns an error, which may be busy (see IsBusy), ErrFull, ErrTooLarge or ErrClosed,
// the owner is not called. Otherwise the owner is called exactly once.
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
	if w.mu.switching {
		return errBusy
	}
	return w.mu.current.add(rec, body, owner)
}

// Wait returns when room may have become free, or with the error of ctx or of the
// journal.
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

// Room returns a channel that is closed when room may have become free. Take it
// before the Append that might be busy.
func (w *Writer) Room() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.room
}

func (w *Writer) freed() {
	w.mu.Lock()
	w.freedLocked()
	w.mu.Unlock()
}

func (w *Writer) freedLocked() {
	close(w.room)
	w.room = make(chan struct{})
}

// ID returns the journal that takes the appends.
func (w *Writer) ID() id.Journal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.current.id
}

// Committed returns the number of the newest entry of the journal that is committed and
// whose owners were told.
func (w *Writer) Committed() uint64 { return w.committed.Load() }

// Tip returns ID and Committed at one moment.
func (w *Writer) Tip() (id.Journal, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.current.id, w.mu.current.notified
}

// Appended returns the number of the newest entry that took an append.
func (w *Writer) Appended() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.current.number
}

// Ended returns a channel that is closed when the journal has failed: after a disk error, a
// fence, or Abort.
func (w *Writer) Ended() <-chan struct{} { return w.ended }

// Err returns why no more appends are taken, or nil.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.err
}

// Abort ends the writer: what is not committed never will be, and its owners are told
// so.
func (w *Writer) Abort(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.err == nil {
		w.mu.err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	if !w.mu.failed {
		w.mu.failed = true
		close(w.ended)
	}
	w.freedLocked() // wakes those that wait for room, so that they learn of the end
	w.notify.Set()
	w.mu.current.wake.Set()
}

// Close takes no more appends, writes what was appended to this disk, tells the
// owners of what is committed by then so, the others that it failed, and waits for
// all that. The journal stays open as far as recovery is concerned.
func (w *Writer) Close() {
	w.mu.Lock()
	if w.mu.err == nil {
		w.mu.err = ErrClosed
	}
	first := false
	select {
	case <-w.stop:
	default:
		close(w.stop)
		first = true
	}
	w.mu.Unlock()
	w.disks.Wait()
	if first {
		close(w.quit)
	}
	w.done.Wait()
	w.mu.Lock()
	both := []*journalWriter{w.mu.current, w.mu.prepared}
	w.mu.Unlock()
	for _, jw := range both {
		if jw != nil {
			jw.files.end()
		}
	}
}
