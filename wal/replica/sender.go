package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"varve/internal/backoff"
	"varve/internal/id"
	"varve/internal/notify"
	"varve/internal/wire"
	"varve/wal"
)

// sender keeps one other member of a journal supplied: it connects, sends entries as
// they are closed without waiting for the ones before, and takes acknowledgements.
// After a reconnect it continues after what the member has.
type sender struct {
	x    *journal
	to   id.Store
	wake notify.Signal

	mu struct {
		sync.Mutex
		durable   uint64  // on that store
		at        wal.Pos // after durable, or before
		flying    []flight
		connected time.Time
		behind    bool
		fenced    bool
		err       error
	}
}

// flight is a run that was sent and not acknowledged.
type flight struct {
	last uint64
	end  wal.Pos
}

func newSender(x *journal, to id.Store) *sender {
	s := &sender{x: x, to: to, wake: notify.NewSignal()}
	s.mu.at = wal.First
	return s
}

func (s *sender) progress() (durable uint64, fenced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.durable, s.mu.fenced
}

func (s *sender) member() Member {
	s.mu.Lock()
	m := Member{Store: s.to, Durable: s.mu.durable, Connected: s.mu.connected, Behind: s.mu.behind, Err: s.mu.err}
	at := s.mu.at
	s.mu.Unlock()
	m.LagEntries, m.LagBytes = s.x.lag(m.Durable, at)
	return m
}

// run connects again and again until the journal is left, or the node closed.
func (s *sender) run() {
	e := s.x.endpoint
	pauses, attempt := backoff.Policy{Base: e.cfg.RetryMin, Max: e.cfg.RetryMax}, 0
	for ; e.ctx.Err() == nil; attempt++ {
		began := time.Now()
		err := s.stream(e.ctx)
		s.disconnected(err)
		if e.ctx.Err() != nil || s.over(err) {
			return
		}
		if e.deps.Log.Enabled(e.ctx, -4) {
			e.deps.Log.Debug("replication stream to a member ended", "journal", s.x.id, "store", s.to, "err", err)
		}
		if time.Since(began) > e.cfg.RetryMax {
			attempt = 0
		}
		wait := pauses.After(attempt)
		if refuses(err) {
			wait = pauses.Max
		}
		if backoff.Sleep(e.ctx, wait) != nil {
			return
		}
	}
}

// over reports whether there is nothing more to do: what the journal ends with was
// delivered, or can't be. A writer that left a journal doesn't follow its members.
func (s *sender) over(err error) bool {
	return s.x.isLeft() || errors.Is(err, errAstray)
}

// refuses: the member answers, and takes nothing, or can't be given what it lacks at
// this moment. It isn't asked all the time.
func refuses(err error) bool {
	for _, e := range []error{wal.ErrFenced, wal.ErrUnknown, wal.ErrClosed, wal.ErrFull, wal.ErrGone, ErrOtherStore} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// stream makes one connection and uses it to its end.
func (s *sender) stream(ctx context.Context) error {
	e := s.x.endpoint
	c, w, err := e.connect(ctx, s.to, purposeStream, s.x.id)
	if err != nil {
		return err
	}
	defer c.Close()
	cursor, skip, err := s.stand(w.durable)
	if err != nil {
		return err
	}
	e.metrics.connects.WithLabelValues(e.deps.labels(s.to)...).Inc()
	s.begin(w.durable, cursor.At())
	ctx, cancel := context.WithCancelCause(ctx)
	stop := c.until(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(s.acks(c)) })
	wg.Go(func() { s.watch(ctx) })
	wg.Go(func() { cancel(s.send(ctx, c, cursor, skip)) })
	wg.Wait()
	stop()
	err = context.Cause(ctx)
	cancel(nil)
	if s.done() {
		return nil
	}
	s.disconnected(err) // first: who is told looks at Members
	if !refuses(err) && e.ctx.Err() == nil {
		e.lost(s.to, err)
	}
	return err
}

// begin notes a connection, and what the member reports to have.
func (s *sender) begin(durable uint64, at wal.Pos) {
	s.mu.Lock()
	s.mu.connected, s.mu.err, s.mu.fenced = time.Now(), nil, false
	s.mu.flying = nil
	s.mu.at = at
	s.mu.durable = max(s.mu.durable, durable)
	s.mu.Unlock()
	s.x.advance()
	s.x.touch()
}

// disconnected notes why there is no connection.
func (s *sender) disconnected(err error) {
	s.mu.Lock()
	again := s.mu.err != nil && s.mu.connected.IsZero() // nothing new
	s.mu.connected, s.mu.err = time.Time{}, err
	s.mu.fenced = s.mu.fenced || errors.Is(err, wal.ErrFenced)
	s.mu.Unlock()
	s.weigh()
	s.x.advance()
	if !again {
		s.x.touch()
	}
}

// weigh notes whether the member fell behind its bound, or came back well within it.
func (s *sender) weigh() {
	m := s.member()
	limit := s.x.endpoint.cfg.MaxLagBytes
	s.mu.Lock()
	was := s.mu.behind
	s.mu.behind = m.LagBytes > limit || was && m.LagBytes > limit/2
	changed := was != s.mu.behind
	s.mu.Unlock()
	if changed {
		s.x.touch()
	}
}

// watch weighs the member now and then while it is connected: also one whose disk
// hangs, which holds up the sending.
func (s *sender) watch(ctx context.Context) {
	beat := time.NewTicker(s.x.endpoint.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			s.weigh()
		case <-ctx.Done():
			return
		}
	}
}

// done: the writer left the journal, and this member has all of it.
func (s *sender) done() bool {
	w := s.x.work()
	durable, _ := s.progress()
	return w.left && durable >= w.closed
}

// send sends what is closed, trims, and beats, until the connection ends.
func (s *sender) send(ctx context.Context, c *conn, cursor *wal.Cursor, skip bool) error {
	beat := time.NewTicker(s.x.endpoint.cfg.Heartbeat)
	defer beat.Stop()
	var told work // of trims
	idle := false
	for {
		w := s.x.work()
		if s.done() {
			return nil
		}
		if w.trimPos != told.trimPos || w.trimUpTo != told.trimUpTo {
			b := binary.LittleEndian.AppendUint64(nil, uint64(w.trimPos))
			if err := c.send(kindTrim, binary.LittleEndian.AppendUint64(b, w.trimUpTo)); err != nil {
				return err
			}
			told = w
		}
		if skip {
			if err := s.skip(c, cursor); err != nil {
				return err
			}
		}
		var sent bool
		var err error
		if sent, skip, err = s.sendRun(c, &cursor, w.closed); err != nil {
			return err
		}
		if sent || skip {
			idle = false
			continue
		}
		select {
		case <-s.wake:
		case <-beat.C:
			if idle {
				if err := c.send(kindBeat, nil); err != nil {
					return err
				}
			}
			idle = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sendRun sends the next entries from where they are, if there are any. If they were
// trimmed, the cursor moves after them, and skip is set.
func (s *sender) sendRun(c *conn, cursor **wal.Cursor, upTo uint64) (sent, skip bool, err error) {
	run, err := (*cursor).Next(upTo, int(s.x.endpoint.cfg.SendBytes))
	if errors.Is(err, wal.ErrGone) {
		at, skip, standErr := s.stand((*cursor).After())
		if !skip || standErr != nil {
			return false, false, err
		}
		*cursor = at
		return false, true, nil
	}
	if err != nil || len(run.Bytes) == 0 {
		return false, false, err
	}
	defer run.Release()
	s.mu.Lock()
	s.mu.flying = append(s.mu.flying, flight{run.Last, (*cursor).At()})
	s.mu.Unlock()
	return true, false, c.send(kindEntries, run.Bytes)
}

// acks takes what the member sends until the connection ends.
func (s *sender) acks(c *conn) error {
	for {
		k, b, err := c.control(s.x.endpoint.cfg.Silence)
		if err != nil {
			return err
		}
		r := wire.NewReader(b)
		switch k {
		case kindAck:
			durable := r.U64()
			if err := r.Done(); err != nil {
				return fmt.Errorf("ack: %w: %w", errFrame, err)
			}
			if err := s.acked(durable); err != nil {
				return err
			}
		case kindRefuse:
			if err := readError(r, s.to); err != nil {
				return err
			}
			return fmt.Errorf("refused without a reason: %w", errFrame)
		default:
			return fmt.Errorf("kind %d from a member: %w", k, errFrame)
		}
	}
}

// acked counts what a member made durable. It can't have more than was closed.
func (s *sender) acked(durable uint64) error {
	if w := s.x.work(); durable > w.closed && !w.left {
		return fmt.Errorf("store %v says that it has entry %d, %d is the last: %w", s.to, durable, w.closed, errFrame)
	}
	s.mu.Lock()
	grew := durable > s.mu.durable
	s.mu.durable = max(s.mu.durable, durable)
	n := 0
	for n < len(s.mu.flying) && s.mu.flying[n].last <= durable {
		s.mu.at = s.mu.flying[n].end
		n++
	}
	s.mu.flying = s.mu.flying[n:]
	s.mu.Unlock()
	if grew {
		s.x.advance()
		if s.done() {
			s.wake.Set()
		}
	}
	return nil
}
