package replica

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/wal"
)

// Peers asks stores: this agent's own at once, others over the network.
type Peers struct {
	own     id.Store
	local   *local
	remote  *remote
	metrics *metrics
}

// call asks a store.
func (ps *Peers) call(ctx context.Context, to id.Store, q *request) ([]byte, error) {
	return ps.callAt(ctx, new(session), to, q)
}

// callAt is call for one of several requests that follow each other: here is what this
// agent's own store keeps between them.
func (ps *Peers) callAt(ctx context.Context, here *session, to id.Store, q *request) ([]byte, error) {
	if to == ps.own {
		return ps.local.do(ctx, here, q)
	}
	return ps.remote.call(ctx, to, q)
}

// Ping asks which incarnation serves the store.
func (ps *Peers) Ping(ctx context.Context, s id.Store) (id.Incarnation, error) {
	i, err := readU64(ps.call(ctx, s, &request{verb: verbPing}))
	return id.Incarnation(i), err
}

// Join makes a store a member of a journal, durably. With a fence in m it is a store
// for a recoverer's copies, which is no member of the ensemble and never an answer.
func (ps *Peers) Join(ctx context.Context, s id.Store, j id.Journal, m wal.Membership) error {
	_, err := ps.call(ctx, s, &request{verb: verbJoin, journal: j, a: uint64(m.FileBytes), b: m.Fence, n: m.Prev})
	return err
}

// Joined is what a store keeps of a journal; wal.ErrUnknown: nothing.
func (ps *Peers) Joined(ctx context.Context, s id.Store, j id.Journal) (wal.Membership, error) {
	b, err := ps.call(ctx, s, &request{verb: verbJoined, journal: j})
	if err != nil {
		return wal.Membership{}, err
	}
	return decodeMembership(b)
}

// Fence makes durable on a store that epoch fenced the journal, and returns the last
// entry that it holds. wal.ErrUnknown: it never joined, or was wiped; that is no
// answer. wal.ErrFenced: a later recoverer was there.
func (ps *Peers) Fence(ctx context.Context, s id.Store, j id.Journal, epoch uint64) (last uint64, err error) {
	return readU64(ps.call(ctx, s, &request{verb: verbFence, journal: j, a: epoch}))
}

// Last is the last entry that a store holds of a journal, with all before it.
func (ps *Peers) Last(ctx context.Context, s id.Store, j id.Journal) (uint64, error) {
	return readU64(ps.call(ctx, s, &request{verb: verbLast, journal: j}))
}

// Copy makes a store that is fenced at epoch hold everything up to an entry,
// durably, out of another. It goes in pieces; what arrived stays when it fails. What
// the other has trimmed, no one needs: the copy begins after that.
// wal.ErrFenced: a later recoverer was there.
func (ps *Peers) Copy(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, upTo uint64) error {
	ps.metrics.copies.Inc()
	have, err := ps.Last(ctx, to, j)
	if err != nil {
		return fmt.Errorf("copy journal %v: %w", j, err)
	}
	var at session
	for have < upTo {
		b, err := ps.callAt(ctx, &at, from, &request{verb: verbEntries, journal: j, a: have, b: upTo, n: maxRead})
		if errors.Is(err, wal.ErrGone) {
			if have, err = ps.skipTo(ctx, j, epoch, from, to, have, upTo, err); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("copy journal %v behind %d: %w", j, have, err)
		}
		if len(b) == 0 {
			return fmt.Errorf("copy journal %v: store %v holds entries up to %d, not %d: %w", j, from, have, upTo, wal.ErrGone)
		}
		now, err := readU64(ps.call(ctx, to, &request{verb: verbPut, journal: j, a: epoch, rest: b}))
		if err != nil {
			return fmt.Errorf("copy journal %v behind %d: %w", j, have, err)
		}
		if now <= have {
			return fmt.Errorf("copy journal %v: store %v took entries and stays at %d", j, to, have)
		}
		have = now
		ps.metrics.copied.Add(float64(len(b)))
	}
	return nil
}

// Recruit makes a store that is no member of the journal's ensemble hold everything up
// to an entry, for a recoverer: it joins, fenced from its first moment, and takes
// copies. It is a holder, and never an answer.
func (ps *Peers) Recruit(ctx context.Context, j id.Journal, epoch uint64, from, to id.Store, upTo uint64) error {
	_, err := ps.Joined(ctx, to, j)
	switch {
	case err == nil: // an earlier try
		_, err = ps.Fence(ctx, to, j, epoch)
	case errors.Is(err, wal.ErrUnknown):
		var m wal.Membership
		if m, err = ps.Joined(ctx, from, j); err == nil {
			m.Fence = epoch
			err = ps.Join(ctx, to, j, m)
		}
	}
	if err != nil {
		return fmt.Errorf("recruit for journal %v: %w", j, err)
	}
	return ps.Copy(ctx, j, epoch, from, to, upTo)
}

// Seal makes durable on a store where the journal was decided to end.
func (ps *Peers) Seal(ctx context.Context, s id.Store, j id.Journal, end uint64) error {
	_, err := ps.call(ctx, s, &request{verb: verbSeal, journal: j, a: end})
	return err
}

// Drop lets a store forget a sealed journal.
func (ps *Peers) Drop(ctx context.Context, s id.Store, j id.Journal) error {
	_, err := ps.call(ctx, s, &request{verb: verbDrop, journal: j})
	return err
}

// ReadAt fills p from a place in a journal as a store has it. Only what is committed
// or sealed means anything.
func (ps *Peers) ReadAt(ctx context.Context, s id.Store, j id.Journal, p []byte, pos wal.Pos) error {
	if s == ps.own {
		return ps.local.deps.Store.ReadAt(j, p, pos)
	}
	for len(p) > 0 {
		step := min(len(p), maxRead)
		b, err := ps.call(ctx, s, &request{verb: verbRead, journal: j, a: uint64(pos), n: uint32(step)})
		if err != nil {
			return err
		}
		if len(b) != step {
			return fmt.Errorf("store %v: %d bytes of %d: %w", s, len(b), step, errFrame)
		}
		copy(p, b)
		p, pos = p[step:], pos+wal.Pos(step)
	}
	return nil
}

// Entries calls each with every entry that a store holds of a journal, in order, up
// to its end if it is sealed. The Entry is reused between calls.
func (ps *Peers) Entries(ctx context.Context, s id.Store, j id.Journal, each func(*wal.Entry) error) error {
	var here session
	for after := uint64(0); ; {
		b, err := ps.callAt(ctx, &here, s, &request{verb: verbDirectories, journal: j, a: after})
		if err != nil || len(b) == 0 {
			return err
		}
		before := after
		err = wal.ParseDirectories(b, func(e *wal.Entry) error {
			if e.Number <= after || after != 0 && e.Number != after+1 {
				return fmt.Errorf("store %v: entry %d of journal %v after %d: %w", s, e.Number, j, after, errFrame)
			}
			after = e.Number
			return each(e)
		})
		if err != nil {
			return err
		}
		if after == before {
			return fmt.Errorf("store %v: no entries in an answer: %w", s, errFrame)
		}
	}
}
