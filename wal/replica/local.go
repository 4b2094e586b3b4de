package replica

import (
	"context"
	"fmt"

	"varve/internal/id"
	"varve/wal"
)

// local carries out requests on this agent's store.
type local struct {
	deps    *Deps
	metrics *metrics
	remote  *remote // for probes
	written *written
}

// session is what a call connection keeps between requests: where the last read of
// entries and of directories stopped, since the next one continues there.
type session struct {
	journal     id.Journal
	cursor      *wal.Cursor
	directories *wal.Directories
}

// do carries out one request. The result is valid until the session's next.
func (l *local) do(ctx context.Context, at *session, q *request) ([]byte, error) {
	s := l.deps.Store
	switch q.verb {
	case verbPing:
		return u64(uint64(l.deps.Incarnation)), nil
	case verbProbe:
		ctx, cancel := context.WithTimeout(ctx, probePatience)
		defer cancel()
		return l.probe(ctx, q.store())
	case verbJoin:
		return nil, l.join(q)
	case verbJoined:
		m, err := s.Joined(q.journal)
		return encodeMembership(m), err
	case verbFence:
		l.metrics.fences.Inc()
		last, err := s.Fence(q.journal, q.a)
		return u64(last), err
	case verbLast:
		last, err := s.Last(q.journal)
		return u64(last), err
	case verbSeal:
		return nil, s.Seal(q.journal, q.a)
	case verbDrop:
		s.Drop(q.journal)
		l.written.dropped(q.journal)
		return nil, nil
	case verbRead:
		return l.read(q)
	case verbDirectories:
		return l.directories(at, q)
	case verbEntries:
		return l.entries(at, q)
	case verbFirst:
		return l.first(q)
	case verbSkip:
		return l.skip(ctx, q)
	case verbPut:
		return l.put(ctx, q)
	case verbTell:
		return l.tell(ctx, q)
	case verbGive:
		return l.take(ctx, q)
	}
	return nil, fmt.Errorf("verb %d: %w", q.verb, errFrame)
}

// probe asks which incarnation serves a store.
func (l *local) probe(ctx context.Context, s id.Store) ([]byte, error) {
	ping := &request{verb: verbPing}
	if s == l.deps.Store.ID() {
		return l.do(ctx, new(session), ping)
	}
	i, err := readU64(l.remote.call(ctx, s, ping))
	return u64(i), err
}

// join makes this store a member, and its first file, so that a full disk is found
// now.
func (l *local) join(q *request) error {
	s := l.deps.Store
	m := wal.Membership{FileBytes: int64(q.a), Fence: q.b, Prev: q.n}
	if err := s.Join(q.journal, m); err != nil || q.journal.Writer == l.deps.Incarnation {
		return err
	}
	_, err := s.Follow(q.journal)
	return err
}

func (l *local) read(q *request) ([]byte, error) {
	if q.n > maxRead {
		return nil, fmt.Errorf("read of %d bytes: %w", q.n, errFrame)
	}
	b := make([]byte, q.n)
	return b, l.deps.Store.ReadAt(q.journal, b, wal.Pos(q.a))
}

// directories returns the directories of entries after number a.
func (l *local) directories(at *session, q *request) ([]byte, error) {
	if _, err := l.deps.Store.Last(q.journal); err != nil { // reads what is to be told
		return nil, err
	}
	if at.directories == nil || at.directories.Journal() != q.journal {
		at.directories = l.deps.Store.Directories(q.journal)
	}
	return at.directories.Next(q.a)
}

// entries returns whole entries after number a, at most up to b.
func (l *local) entries(at *session, q *request) ([]byte, error) {
	s := l.deps.Store
	last, err := s.Last(q.journal)
	if err != nil {
		return nil, err
	}
	if at.cursor == nil || at.journal != q.journal || at.cursor.After() != q.a {
		at.journal = q.journal
		if at.cursor, err = s.Cursor(q.journal, q.a); err != nil {
			return nil, err
		}
	}
	run, err := at.cursor.Next(min(last, q.b), int(min(q.n, maxRead)))
	if err != nil {
		at.cursor = nil
		return nil, err
	}
	defer run.Release()
	return append([]byte(nil), run.Bytes...), nil
}

// put stores a recoverer's copies, durably.
func (l *local) put(ctx context.Context, q *request) ([]byte, error) {
	if q.a == 0 {
		return nil, fmt.Errorf("journal %v: a copy needs a recoverer's epoch: %w", q.journal, wal.ErrFenced)
	}
	f, err := l.deps.Store.Follow(q.journal)
	if err != nil {
		return nil, err
	}
	if err := f.Append(ctx, q.rest, q.a); err != nil {
		return nil, err
	}
	durable, err := f.Sync()
	return u64(durable), err
}
