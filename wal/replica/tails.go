package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"varve/internal/id"
	"varve/wal"
)

// Tails reads journals where they are: on this disk, or, of sealed ones that this disk
// lacks, at a peer until the tier has them. If that peer goes, or loses its disk, another
// one that has all of the journal is found.
type Tails struct {
	store *wal.Store
	peers TailReader
	now   func() time.Time
	find  singleflight.Group

	mu struct {
		sync.RWMutex
		remote map[id.Journal]*remoteTail
	}
}

// TailReader asks other stores (Node).
type TailReader interface {
	Last(ctx context.Context, s id.Store, j id.Journal) (uint64, error)
	ReadAt(ctx context.Context, s id.Store, j id.Journal, p []byte, pos wal.Pos) error
	Entries(ctx context.Context, s id.Store, j id.Journal, each func(*wal.Entry) error) error
}

// remoteTail is a sealed journal that is read at peers.
type remoteTail struct {
	end     uint64     // its last entry
	keepers []id.Store // may have all of it
	known   bool       // the view of the cluster has shown it
	gone    bool       // etcd has forgotten it: the tier has all of it

	at     id.Store      // has all of it
	failed error         // why no peer could be read
	since  time.Time     // of failed
	pause  time.Duration // reads fail with failed for this long
}

const (
	tailPatience = 3 * time.Second // bounds a read from a peer, and the search for one
	// After a journal could be read at no peer, reads of it fail at once for tailPauseMin, and
	// after each further failure for twice as long, up to tailPauseMax: a fetch of many
	// partitions waits for one of them only now and then.
	tailPauseMin = time.Second
	tailPauseMax = 30 * time.Second
)

// NewTails makes a reader of store and of what peers have.
func NewTails(store *wal.Store, peers TailReader, now func() time.Time) *Tails {
	t := &Tails{store: store, peers: peers, now: now}
	t.mu.remote = map[id.Journal]*remoteTail{}
	return t
}

func (t *Tails) isRemote(j id.Journal) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.mu.remote[j] != nil
}

// Follow lets a journal be read at peers: at has all of it, and perhaps others of its
// keepers, which are asked if that one fails.
func (t *Tails) Follow(j id.Journal, end uint64, at id.Store, keepers []id.Store) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &remoteTail{end: end, keepers: keepers, at: at}
	if was := t.mu.remote[j]; was != nil { // what etcd has forgotten never comes back
		r.known, r.gone = was.known, was.gone
	}
	t.mu.remote[j] = r
}

// Asks reports whether a read of a journal asks peers.
func (t *Tails) Asks(j id.Journal) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := t.mu.remote[j]
	return r != nil && !r.gone
}

// Keep ends the reading at peers of journals that etcd has forgotten: the tier has
// all of them. The view may lag behind what Follow was told. What this disk has of
// such a journal may be half of it, and is never read: the entry stays until the disk
// has nothing.
func (t *Tails) Keep(known func(id.Journal) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for j, r := range t.mu.remote {
		if known(j) {
			r.known = true
		} else if r.known {
			r.gone = true
		}
		if _, err := t.store.Joined(j); r.gone && err != nil {
			delete(t.mu.remote, j)
		}
	}
}

// View returns n bytes at pos in place, if they are in memory here (wal.Store.View).
func (t *Tails) View(j id.Journal, pos wal.Pos, n int) (wal.View, bool) {
	if t.isRemote(j) {
		return wal.View{}, false
	}
	return t.store.View(j, pos, n)
}

// ReadAt fills p with what the journal has at pos, here or at a peer (wal.Store.ReadAt).
func (t *Tails) ReadAt(j id.Journal, p []byte, pos wal.Pos) error {
	t.mu.RLock()
	r := t.mu.remote[j]
	var at id.Store
	var failed error
	if r != nil && r.gone {
		failed = fmt.Errorf("journal %v at %v: %w", j, pos, wal.ErrGone)
	} else if r != nil {
		at = r.at
		if r.failed != nil && t.now().Sub(r.since) < r.pause {
			failed = r.failed
		}
	}
	t.mu.RUnlock()
	switch {
	case r == nil:
		return t.store.ReadAt(j, p, pos)
	case failed != nil:
		return failed
	}
	err := t.readFrom(at, j, p, pos)
	if err == nil || errors.Is(err, wal.ErrGone) {
		t.answered(r)
		return err
	}
	other, findErr := t.another(j, r, at)
	if findErr != nil {
		return errors.Join(err, findErr)
	}
	if err = t.readFrom(other, j, p, pos); err != nil && !errors.Is(err, wal.ErrGone) {
		t.note(r, other, err)
	} else {
		t.answered(r)
	}
	return err
}

// answered notes that a journal could be read: the next failure is the first of its row.
func (t *Tails) answered(r *remoteTail) {
	t.mu.RLock()
	row := r.pause > 0
	t.mu.RUnlock()
	if row {
		t.mu.Lock()
		r.pause = 0
		t.mu.Unlock()
	}
}

// note logs where a journal is read from now on, or that it can't be at this time.
func (t *Tails) note(r *remoteTail, at id.Store, failed error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed == nil {
		r.at, r.failed = at, nil
		return
	}
	r.pause = min(max(tailPauseMin, 2*r.pause), tailPauseMax)
	r.failed, r.since = failed, t.now()
}

func (t *Tails) readFrom(s id.Store, j id.Journal, p []byte, pos wal.Pos) error {
	ctx, cancel := context.WithTimeout(context.Background(), tailPatience)
	defer cancel()
	return t.peers.ReadAt(ctx, s, j, p, pos)
}

// another finds a store that has all of a journal, which could not be read at one.
// Readers that fail at the same time share the search.
func (t *Tails) another(j id.Journal, r *remoteTail, not id.Store) (id.Store, error) {
	found, err, _ := t.find.Do(j.String(), func() (any, error) {
		t.mu.RLock()
		at := r.at
		t.mu.RUnlock()
		if at != not {
			return at, nil // found while this one failed
		}
		at, err := t.Search(j, r.end, r.keepers, not)
		t.note(r, at, err)
		return at, err
	})
	if err != nil {
		return id.Store{}, err
	}
	return found.(id.Store), nil
}

// Search asks all keepers at once for a journal that ends with an entry; the first
// that answers that it has all is taken. The store that just failed is the last choice.
func (t *Tails) Search(j id.Journal, end uint64, keepers []id.Store, not id.Store) (id.Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tailPatience)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel() // the others needn't answer any more
	type answer struct {
		store id.Store
		err   error
	}
	answers := make(chan answer, len(keepers))
	for _, s := range keepers {
		all.Go(func() {
			last, err := t.peers.Last(ctx, s, j)
			if err == nil && last < end {
				err = fmt.Errorf("store %v has entries up to %d of %d", s, last, end)
			}
			answers <- answer{s, err}
		})
	}
	again := false
	var failed []error
	for range keepers {
		a := <-answers
		switch {
		case a.err != nil:
			failed = append(failed, a.err)
		case a.store == not:
			again = true
		default:
			return a.store, nil
		}
	}
	if again {
		return not, nil
	}
	if len(failed) == 0 {
		return id.Store{}, fmt.Errorf("no peer has all of journal %v now: none that kept it is alive", j)
	}
	return id.Store{}, fmt.Errorf("no peer has all of journal %v now: %w", j, errors.Join(failed...))
}

// Floor returns the first place that ReadAt reads here (wal.Store.Floor). What the tier has of a remote journal is read
// there.
func (t *Tails) Floor(j id.Journal) wal.Pos {
	if t.isRemote(j) {
		return ^wal.Pos(0)
	}
	return t.store.Floor(j)
}
