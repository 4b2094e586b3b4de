package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/internal/wire"
	"varve/wal"
)

// A store that lacks what its source has trimmed begins again at the source's first
// entry: what is below is committed and in the tier, and not needed. Only
// the journal's writer, and a recoverer, may ask for it.

// errAstray: a member claims what the journal never had.
var errAstray = errors.New("the member has what the journal has not")

// stand returns a cursor after entry after, or after the last one that was trimmed;
// then skip is set.
func (s *sender) stand(after uint64) (c *wal.Cursor, skip bool, err error) {
	store := s.x.endpoint.deps.Store
	for {
		c, err = store.Cursor(s.x.id, after)
		if !errors.Is(err, wal.ErrGone) {
			return c, skip, err
		}
		first, _, firstErr := store.First(s.x.id)
		if firstErr != nil {
			return nil, false, firstErr
		}
		switch { // more may have been trimmed meanwhile
		case first <= after:
			return nil, false, fmt.Errorf("store %v has entries up to %d: %w: %w", s.to, after, errAstray, err)
		case first > after+1:
			after, skip = first-1, true
		}
	}
}

// skip tells the member to continue where the cursor stands.
func (s *sender) skip(c *conn, cursor *wal.Cursor) error {
	e := s.x.endpoint
	e.metrics.skips.Inc()
	e.deps.Log.Info("journal member continues after entries that were trimmed", "journal", s.x.id, "store", s.to, "entry", cursor.After()+1)
	s.mu.Lock()
	s.mu.flying = append(s.mu.flying, flight{cursor.After(), cursor.At()})
	s.mu.Unlock()
	b := binary.LittleEndian.AppendUint64(nil, cursor.After()+1)
	return c.send(kindSkip, binary.LittleEndian.AppendUint64(b, uint64(cursor.At())))
}

// skip continues at the entry and place that the writer names, after all that came
// before is on disk.
func (f *following) skip(ctx context.Context, b []byte) error {
	r := wire.NewReader(b)
	first, at := r.U64(), wal.Pos(r.U64())
	if err := r.Done(); err != nil {
		return fmt.Errorf("skip: %w: %w", errFrame, err)
	}
	if err := f.in.drain(); err != nil {
		return err
	}
	if err := f.f.Skip(ctx, first, at, 0); err != nil {
		return &refusedError{err}
	}
	f.acks.Set()
	return f.patience()
}

// skip is what a recoverer asks for.
func (l *local) skip(ctx context.Context, q *request) ([]byte, error) {
	if q.a == 0 {
		return nil, fmt.Errorf("journal %v: a skip needs a recoverer's epoch: %w", q.journal, wal.ErrFenced)
	}
	f, err := l.deps.Store.Follow(q.journal)
	if err != nil {
		return nil, err
	}
	if err := f.Skip(ctx, q.b, fileStart(q.n), q.a); err != nil {
		return nil, err
	}
	return u64(f.Durable()), nil
}

// fileStart is the first place of a file.
func fileStart(file uint32) wal.Pos { return wal.First + wal.Pos(file)<<32 }

// first is wal.Store.First of a store that may not have read its journal
// yet: number, position.
func (l *local) first(q *request) ([]byte, error) {
	s := l.deps.Store
	if _, err := s.Last(q.journal); err != nil {
		return nil, err
	}
	number, at, err := s.First(q.journal)
	return binary.LittleEndian.AppendUint64(u64(number), uint64(at)), err
}

// skipTo makes a store that has entries up to have continue at the first entry of
// another, if that has trimmed what is between, and returns up to where it counts
// then. why is the error that made this necessary; it is returned if nothing was trimmed.
func (ps *Peers) skipTo(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, have, upTo uint64, why error) (uint64, error) {
	b, err := ps.call(ctx, from, &request{verb: verbFirst, journal: j})
	if err != nil {
		return have, err
	}
	r := wire.NewReader(b)
	first, at := r.U64(), wal.Pos(r.U64())
	if err := r.Done(); err != nil {
		return have, fmt.Errorf("first of store %v: %w: %w", from, errFrame, err)
	}
	file := uint32(at >> 32)
	if first <= have+1 || first > upTo+1 || at != fileStart(file) {
		return have, fmt.Errorf("store %v begins with entry %d at %v: %w", from, first, at, why)
	}
	now, err := readU64(ps.call(ctx, to, &request{verb: verbSkip, journal: j, a: epoch, b: first, n: file}))
	if err != nil {
		return have, fmt.Errorf("skip to entry %d: %w", first, err)
	}
	if now+1 < first {
		return have, fmt.Errorf("store %v was told to skip to entry %d and stays at %d", to, first, now)
	}
	ps.metrics.skips.Inc()
	ps.local.deps.Log.Info("copy of a journal continues after entries that were trimmed", "journal", j, "from", from, "store", to, "entry", first)
	return now, nil
}
