package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"varve/cluster"
	"varve/internal/id"
	"varve/wal"
)

// local reads journals where they are: on this disk, or, of adopted tails that this
// disk lacks, at a peer until the tier has them. If that peer goes, or loses its
// disk, another that has all of the journal is found.
type local struct {
	store *wal.Store
	node  reader
	now   func() time.Time
	find  singleflight.Group

	mu     sync.RWMutex
	remote map[id.Journal]*remoteTail
}

// reader asks other stores (wal/replica).
type reader interface {
	Last(ctx context.Context, s id.Store, j id.Journal) (uint64, error)
	ReadAt(ctx context.Context, s id.Store, j id.Journal, p []byte, pos wal.Pos) error
}

// remoteTail is a sealed journal that is read at peers.
type remoteTail struct {
	end     uint64     // its last entry
	keepers []id.Store // may have all of it
	known   bool       // the picture of the cluster has shown it
	gone    bool       // etcd has forgotten it: the tier has all of it

	at     id.Store      // has all of it
	failed error         // it can't be read anywhere,
	since  time.Time     // and is not tried again
	pause  time.Duration // for so long
}

const (
	remotePatience = 3 * time.Second  // bounds a read from a peer, and the search for one
	pauseMin       = time.Second      // when nobody could give a journal, reads fail at once for so long,
	pauseMax       = 30 * time.Second // longer each time: who reads many partitions waits for one only now and then
)

func newLocal(s *wal.Store, n reader, now func() time.Time) *local {
	return &local{store: s, node: n, now: now, remote: map[id.Journal]*remoteTail{}}
}

func (l *local) isRemote(j id.Journal) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.remote[j] != nil
}

// follow says that a journal is to be read at peers: at has all of it, and one of
// the keepers too if that one fails.
func (l *local) follow(j id.Journal, end uint64, at id.Store, keepers []id.Store) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &remoteTail{end: end, keepers: keepers, at: at}
	if was := l.remote[j]; was != nil { // what etcd has forgotten never comes back
		r.known, r.gone = was.known, was.gone
	}
	l.remote[j] = r
}

// asks reports whether a read of a journal asks peers.
func (l *local) asks(j id.Journal) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.remote[j]
	return r != nil && !r.gone
}

// keep ends the reading at peers of journals that etcd has forgotten: the tier has
// all of them. The picture may lag behind what follow was told. What this disk has of
// such a journal may be half of it, and is never read: the entry stays until the disk
// has nothing.
func (l *local) keep(known map[id.Journal]cluster.Journal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for j, r := range l.remote {
		if _, ok := known[j]; ok {
			r.known = true
		} else if r.known {
			r.gone = true
		}
		if _, err := l.store.Joined(j); r.gone && err != nil {
			delete(l.remote, j)
		}
	}
}

// View implements partition.Local.
func (l *local) View(j id.Journal, pos wal.Pos, n int) (wal.View, bool) {
	if l.isRemote(j) {
		return wal.View{}, false
	}
	return l.store.View(j, pos, n)
}

// ReadAt implements partition.Local.
func (l *local) ReadAt(j id.Journal, p []byte, pos wal.Pos) error {
	l.mu.RLock()
	r := l.remote[j]
	var at id.Store
	var failed error
	if r != nil && r.gone {
		failed = fmt.Errorf("journal %v at %v: %w", j, pos, wal.ErrGone)
	} else if r != nil {
		at = r.at
		if r.failed != nil && l.now().Sub(r.since) < r.pause {
			failed = r.failed
		}
	}
	l.mu.RUnlock()
	switch {
	case r == nil:
		return l.store.ReadAt(j, p, pos)
	case failed != nil:
		return failed
	}
	err := l.readFrom(at, j, p, pos)
	if err == nil || errors.Is(err, wal.ErrGone) {
		l.answered(r)
		return err
	}
	other, findErr := l.another(j, r, at)
	if findErr != nil {
		return errors.Join(err, findErr)
	}
	if err = l.readFrom(other, j, p, pos); err != nil && !errors.Is(err, wal.ErrGone) {
		l.note(r, other, err)
	} else {
		l.answered(r)
	}
	return err
}

// answered says that a journal could be read: the next failure is the first of its row.
func (l *local) answered(r *remoteTail) {
	l.mu.RLock()
	row := r.pause > 0
	l.mu.RUnlock()
	if row {
		l.mu.Lock()
		r.pause = 0
		l.mu.Unlock()
	}
}

// note says where a journal is read from now on, or that it can't be at this time.
func (l *local) note(r *remoteTail, at id.Store, failed error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failed == nil {
		r.at, r.failed = at, nil
		return
	}
	r.pause = min(max(pauseMin, 2*r.pause), pauseMax)
	r.failed, r.since = failed, l.now()
}

func (l *local) readFrom(s id.Store, j id.Journal, p []byte, pos wal.Pos) error {
	ctx, cancel := context.WithTimeout(context.Background(), remotePatience)
	defer cancel()
	return l.node.ReadAt(ctx, s, j, p, pos)
}

// another finds a store that has all of a journal, which could not be read at one.
// Who fails at the same time shares the search.
func (l *local) another(j id.Journal, r *remoteTail, not id.Store) (id.Store, error) {
	found, err, _ := l.find.Do(j.String(), func() (any, error) {
		l.mu.RLock()
		at := r.at
		l.mu.RUnlock()
		if at != not {
			return at, nil // found while this one failed
		}
		at, err := l.search(j, r.end, r.keepers, not)
		l.note(r, at, err)
		return at, err
	})
	if err != nil {
		return id.Store{}, err
	}
	return found.(id.Store), nil
}

// search asks all keepers at once for a journal that ends with an entry; who answers
// first that it has all is taken. The one that just failed is the last choice.
func (l *local) search(j id.Journal, end uint64, keepers []id.Store, not id.Store) (id.Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), remotePatience)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel() // who has not answered then needn't
	type answer struct {
		store id.Store
		err   error
	}
	answers := make(chan answer, len(keepers))
	for _, s := range keepers {
		all.Go(func() {
			last, err := l.node.Last(ctx, s, j)
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

// Floor implements partition.Local. What the tier has of a remote journal is read
// there.
func (l *local) Floor(j id.Journal) wal.Pos {
	if l.isRemote(j) {
		return ^wal.Pos(0)
	}
	return l.store.Floor(j)
}
