package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"varve/internal/id"
	"varve/wal"
)

// Create makes every member join the journal, durably, then opens it here and
// begins to replicate. Only after that may the caller make it known in etcd. The
// error names the stores that did not join. This store must be among the members.
func (n *Node) Create(ctx context.Context, j id.Journal, members []id.Store, quorum int) (*wal.Writer, error) {
	if err := n.join(ctx, j, 0, members, quorum); err != nil {
		return nil, fmt.Errorf("create journal %v: %w", j, err)
	}
	x := newJournal(n.endpoint, n.written.touch, j, members, quorum)
	w, err := n.endpoint.deps.Store.Create(j, x.replication())
	if err != nil {
		return nil, err
	}
	if err := n.begin(x, w); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// replication is nil where this store is alone: then what is durable is committed.
func (x *journal) replication() wal.Replication {
	if len(x.senders) == 0 {
		return nil
	}
	return x
}

// begin starts the senders.
func (n *Node) begin(x *journal, w *wal.Writer) error {
	x.bind(w)
	if n.tasks.isClosed() {
		return ErrClosed
	}
	n.written.add(x)
	for _, s := range x.senders {
		n.tasks.run(s.run)
	}
	return nil
}

// NotJoinedError names a store that did not join a journal.
type NotJoinedError struct {
	Store id.Store
	Err   error
}

func (e *NotJoinedError) Error() string {
	return fmt.Sprintf("store %v did not join: %v", e.Store, e.Err)
}
func (e *NotJoinedError) Unwrap() error { return e.Err }

// NotJoined lists the stores that did not join according to an error, and why.
func NotJoined(err error) (all []*NotJoinedError) {
	switch e := err.(type) {
	case *NotJoinedError:
		return []*NotJoinedError{e}
	case interface{ Unwrap() []error }:
		for _, x := range e.Unwrap() {
			all = append(all, NotJoined(x)...)
		}
	case interface{ Unwrap() error }:
		return NotJoined(e.Unwrap())
	}
	return all
}

// joinPatience is how long a member has to join: it writes one small file for that.
const joinPatience = 5 * time.Second

// join makes all members join at once. An error wraps a NotJoinedError for each that did
// not.
func (n *Node) join(ctx context.Context, j id.Journal, prev uint32, members []id.Store, quorum int) error {
	switch {
	case !slices.Contains(members, n.own):
		return fmt.Errorf("this store, %v, is no member", n.own)
	case quorum < 1 || quorum > len(members):
		return fmt.Errorf("a quorum of %d of %d members", quorum, len(members))
	}
	m := wal.Membership{FileBytes: n.endpoint.deps.Store.FileBytes(), Prev: prev}
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, s := range members {
		if slices.Contains(members[:i], s) {
			return fmt.Errorf("store %v is named twice", s)
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, joinPatience)
			defer cancel()
			if err := n.Join(ctx, s, j, m); err != nil {
				errs[i] = &NotJoinedError{s, err}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Switch moves the writer on to the next journal: the new members join, ready signals that
// the moment is good (unless it is nil), then the old journal is frozen, seal stores in etcd that it ends and that the next one is open,
// in one transaction, and what was not committed goes to the next. Appends go on
// meanwhile, but nothing is committed while seal runs.
//
// seal must return nil if the transaction took effect, and an error only if someone else
// has ended the journal, or if no one waits any more: until it knows it must not return.
// Then the writer ends as well: what was not committed before seal never will be. When
// Switch fails before seal, the journal continues as it was; the joined next one is
// forgotten where its members can be reached, and its number must not be used again.
func (n *Node) Switch(ctx context.Context, w *wal.Writer, next id.Journal, members []id.Store, quorum int, ready func() error, seal func(end uint64) error) error {
	old := n.written.get(w.ID())
	if old == nil {
		return fmt.Errorf("switch journal %v: it is not replicated here", w.ID())
	}
	fail := func(err error) error {
		n.forget(next, members)
		return fmt.Errorf("switch journal %v to %v: %w", old.id, next, err)
	}
	if err := n.join(ctx, next, old.id.Seq, members, quorum); err != nil {
		return fail(err)
	}
	x := newJournal(n.endpoint, n.written.touch, next, members, quorum)
	if err := w.Prepare(next, x.replication()); err != nil {
		return fail(err)
	}
	if ready != nil {
		if err := ready(); err != nil {
			return fail(err)
		}
	}
	end := w.Freeze()
	if err := seal(end); err != nil {
		w.Abort(err) // the next one may be open: its members look that up before they forget it
		return fmt.Errorf("switch journal %v to %v: %w", old.id, next, err)
	}
	old.leave(end)
	if err := n.begin(x, w); err != nil {
		return err
	}
	if err := w.Switch(n.tasks.ctx); err != nil {
		return err
	}
	x.advance()
	n.written.touch()
	return nil
}

// forget drops a journal that will never be opened from the stores that joined it,
// as far as they can be reached now.
func (n *Node) forget(j id.Journal, members []id.Store) {
	for _, s := range members {
		n.tasks.run(func() {
			ctx, cancel := context.WithTimeout(n.tasks.ctx, n.endpoint.cfg.Silence)
			defer cancel()
			err := n.Seal(ctx, s, j, 0)
			if err == nil {
				err = n.Drop(ctx, s, j)
			}
			if err != nil && !errors.Is(err, wal.ErrUnknown) {
				n.endpoint.deps.Log.Debug("journal that was not opened not deleted yet", "journal", j, "store", s, "err", err)
			}
		})
	}
}

// Members returns how far each member of a journal that this agent writes got, this
// store first; nothing for another journal.
func (n *Node) Members(j id.Journal) []Member {
	x := n.written.get(j)
	if x == nil {
		return nil
	}
	all := x.members()
	if w := x.writer.Load(); len(x.senders) == 0 && w.ID() == j {
		all[0].Durable = w.Committed()
	}
	return all
}

// AllMembers returns the members of every journal that this agent writes, or wrote and
// keeps still.
func (n *Node) AllMembers() map[id.Journal][]Member {
	out := map[id.Journal][]Member{}
	for _, x := range n.written.all() {
		out[x.id] = n.Members(x.id)
	}
	return out
}

// Trim marks all of a journal before pos, up to entry number, as no longer needed:
// here, and on its other members if this agent writes it. Where it was fenced or sealed
// that counts for nothing.
func (n *Node) Trim(j id.Journal, pos wal.Pos, number uint64) {
	trimHere(n.endpoint.deps.Store, j, pos, number)
	if x := n.written.get(j); x != nil {
		x.trim(pos, number)
	}
}

// trimHere does what a journal's writer asks, of this store or another, while it is the one
// to say so: not once the journal was fenced or sealed here.
func trimHere(s *wal.Store, j id.Journal, pos wal.Pos, number uint64) {
	if m, err := s.Joined(j); err != nil || m.Fence > 0 {
		return
	}
	if _, sealed := s.Sealed(j); !sealed {
		s.TrimBefore(j, pos, number)
	}
}
