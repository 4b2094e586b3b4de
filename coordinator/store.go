package coordinator

import (
	"context"
	"time"

	"varve/internal/backoff"
	"varve/metadata"
)

// rereads is how long a machine is left alone after several writes in a row failed. A request
// has it read at once.
var rereads = backoff.Policy{Base: 100 * time.Millisecond, Max: 5 * time.Second}

// write has operations of a machine done, each guarded by the revision at which its key was
// last seen.
func (s *slot) write(e *entry, ops []metadata.Op) {
	guards := e.guards(ops)
	if s.guard.Key != "" {
		guards = append(guards, s.guard)
	}
	m := e.m
	s.fly(func() func() {
		var rev metadata.Revision
		err := s.c.keepPace(s.ctx, ops)
		if err == nil {
			rev, err = s.c.writer.Write(s.ctx, guards, ops...)
		}
		return func() { s.wrote(e, m, ops, rev, err) }
	})
}

// keepPace waits until as much may be written. What a machine asks to store meanwhile goes
// together in its next write.
func (c *Coordinator) keepPace(ctx context.Context, ops []metadata.Op) error {
	n := 0
	for _, o := range ops {
		n += len(o.Key) + len(o.Value)
	}
	return c.pace.WaitN(ctx, min(n, c.pace.Burst()))
}

// wrote handles the end of a write. After a failure the contents of the store are
// unknown, so the machine is reloaded.
func (s *slot) wrote(e *entry, m Machine, ops []metadata.Op, rev metadata.Revision, err error) {
	if e.m != m {
		return
	}
	if err == nil {
		e.refused = 0
		e.stored(ops, rev)
		s.step(e, Stored{})
		return
	}
	s.c.kind.Metrics.StoreFailures.Inc()
	s.c.log.Warn(s.c.kind.log("could not be stored; it is read anew"), s.c.kind.Name, e.key, "err", err)
	s.apply(e, m.Step(time.Now(), Resign{answerTo(err)}))
	s.drop(e)
	e.refused++
	switch {
	case s.stopping || s.ctx.Err() != nil: // it can't be stored from here any more
	case e.refused == 1:
		s.read(e)
	default: // as of a machine that stores something whenever it is read: the slot may be another's
		s.schedule(e, time.Now().Add(rereads.After(e.refused-2)))
	}
}

// guards compare the keys of operations with their revisions that were seen last.
func (e *entry) guards(ops []metadata.Op) (guards []metadata.Guard) {
	for _, op := range ops {
		guards = append(guards, metadata.Guard{Key: op.Key, Mod: e.mods[op.Key]})
	}
	return guards
}

// stored takes note of the revisions of a transaction.
func (e *entry) stored(ops []metadata.Op, rev metadata.Revision) {
	for _, op := range ops {
		if op.Delete {
			delete(e.mods, op.Key)
		} else {
			e.mods[op.Key] = rev
		}
	}
}
