package replica

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"varve/internal/id"
	"varve/internal/notify"
	"varve/internal/wire"
	"varve/wal"
)

// following is one stream of a journal that another agent writes.
//
// One goroutine reads the connection into memory, one writes to the disk whatever
// has arrived meanwhile, and one acknowledges what is durable.
type following struct {
	s     *server
	c     *conn
	j     id.Journal
	from  id.Store
	f     *wal.Follower
	in    *intake
	acks  notify.Signal // something became durable
	limit uint32        // of a frame: a file of the journal
}

// follow admits a stream: it must come from the journal's writer, and this store
// must be an unfenced member. A newer stream of a journal replaces an older one.
func (s *server) follow(c *conn, h *hello) (*following, error) {
	if h.incarnation != h.journal.Writer {
		return nil, fmt.Errorf("incarnation %v doesn't write journal %v: %w", h.incarnation, h.journal, wal.ErrFenced)
	}
	m, err := s.endpoint.deps.Store.Joined(h.journal)
	if err != nil {
		return nil, err
	}
	if m.Fence > 0 {
		return nil, fmt.Errorf("journal %v is fenced at %d: %w", h.journal, m.Fence, wal.ErrFenced)
	}
	f, err := s.endpoint.deps.Store.Follow(h.journal)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	before := s.mu.streams[h.journal]
	s.mu.streams[h.journal] = c
	s.mu.Unlock()
	if before != nil {
		before.Close()
	}
	return &following{s: s, c: c, j: h.journal, from: h.from, f: f, in: newIntake(int(s.endpoint.cfg.IntakeBytes)),
		acks: notify.NewSignal(), limit: uint32(m.FileBytes)}, nil
}

// run returns when the connection has ended, from either side.
func (f *following) run() {
	ctx, cancel := context.WithCancelCause(f.s.endpoint.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(f.write(ctx)) })
	wg.Go(func() { cancel(f.acknowledge(ctx)) })
	wg.Go(func() { cancel(f.read(ctx)) })
	stop := context.AfterFunc(ctx, func() {
		f.in.close()
		if refusal(context.Cause(ctx)) == nil {
			f.c.Close()
			return
		}
		_ = f.c.SetWriteDeadline(time.Now().Add(f.s.endpoint.cfg.Heartbeat)) // the acknowledger sends why, then closes
	})
	wg.Wait()
	stop()
	f.c.Close()
	err := context.Cause(ctx)
	cancel(nil)
	if replaced := !f.leave(); replaced || f.s.endpoint.ctx.Err() != nil {
		return
	}
	f.s.endpoint.deps.Log.Info("replication stream ended", "journal", f.j, "writer", f.from, "err", err)
	if refusal(err) == nil {
		f.s.endpoint.lost(f.from, err)
	}
}

// leave reports whether the stream was the journal's newest.
func (f *following) leave() bool {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.mu.streams[f.j] != f.c {
		return false
	}
	delete(f.s.mu.streams, f.j)
	return true
}

// refusedError is why this member refuses entries.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

func refusal(err error) error {
	if r, ok := err.(*refusedError); ok {
		return r.err
	}
	return nil
}

// read takes frames off the connection.
func (f *following) read(ctx context.Context) error {
	for {
		h, err := f.c.next(f.s.endpoint.cfg.Silence)
		if err != nil {
			return err
		}
		switch h.kind {
		case kindEntries:
			if h.length == 0 || h.length > f.limit || h.length%4096 != 0 {
				return fmt.Errorf("entries of %d bytes: %w", h.length, errFrame)
			}
			if err := f.in.read(f.c.in, int(h.length), f.patience); err != nil {
				return err
			}
		case kindBeat, kindTrim, kindSkip:
			b, err := readPayload(f.c.in, h)
			switch {
			case err != nil:
			case h.kind == kindTrim:
				err = f.trim(b)
			case h.kind == kindSkip:
				err = f.skip(ctx, b)
			}
			if err != nil {
				return err
			}
		default:
			return fmt.Errorf("kind %d in a stream: %w", h.kind, errFrame)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// patience restarts the count of silence, after a wait for room here.
func (f *following) patience() error { return f.c.patience(f.s.endpoint.cfg.Silence) }

func (f *following) trim(b []byte) error {
	r := wire.NewReader(b)
	pos, number := wal.Pos(r.U64()), r.U64()
	if err := r.Done(); err != nil {
		return fmt.Errorf("trim: %w: %w", errFrame, err)
	}
	trimHere(f.s.endpoint.deps.Store, f.j, pos, number)
	return nil
}

// write makes durable what has arrived, all of it at a time.
func (f *following) write(ctx context.Context) error {
	counter := f.s.endpoint.metrics.durable.WithLabelValues(f.s.endpoint.deps.labels(f.from)...)
	for {
		b, ok := f.in.take()
		if !ok {
			return nil
		}
		before := f.f.Durable()
		err := f.f.Append(ctx, b, 0)
		durable, syncErr := f.f.Sync()
		f.in.done(b)
		if err == nil {
			err = syncErr
		}
		if err != nil {
			return &refusedError{err}
		}
		counter.Add(float64(durable - min(before, durable)))
		select {
		case f.acks <- struct{}{}:
		default:
		}
	}
}

// acknowledge sends what is durable, when it changes and as a heartbeat; last of all
// why no more is taken.
func (f *following) acknowledge(ctx context.Context) error {
	defer f.c.Close()
	beat := time.NewTicker(f.s.endpoint.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-f.acks:
		case <-beat.C:
		case <-ctx.Done():
			if why := refusal(context.Cause(ctx)); why != nil {
				_ = f.c.send(kindRefuse, appendError(nil, why)) // the end of the connection means as much
			}
			return ctx.Err()
		}
		var b [8]byte
		if err := f.c.send(kindAck, binary.LittleEndian.AppendUint64(b[:0], f.f.Durable())); err != nil {
			return err
		}
	}
}
