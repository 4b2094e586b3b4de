package coordinator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"varve/internal/backoff"
	"varve/metadata"
	"varve/metadata/schema"
)

// load reads all machines of slots and starts these.
func (c *Coordinator) load(slots map[int]*slot) {
	pauses := backoff.Policy{Base: 50 * time.Millisecond, Max: 2 * time.Second}
	for attempt := 0; ; attempt++ {
		stored, err := c.readAll(slots)
		if err == nil {
			for n, s := range slots {
				s.begin(stored[n])
			}
			return
		}
		if c.ctx.Err() == nil {
			c.log.Warn(c.kind.Plural+" can't be read yet", "err", err)
		}
		if backoff.Sleep(c.ctx, pauses.After(attempt)) != nil {
			return
		}
	}
}

// readAll reads the values of slots, by slot and key.
func (c *Coordinator) readAll(slots map[int]*slot) (map[int]map[string][]metadata.KV, error) {
	all := map[int]map[string][]metadata.KV{}
	for n := range slots {
		all[n] = map[string][]metadata.KV{}
	}
	for _, v := range c.kind.Values {
		kvs, _, err := c.reader.List(c.ctx, v.Prefix)
		if err != nil {
			return nil, err
		}
		for _, kv := range kvs {
			key, err := v.Of(kv.Key)
			if err != nil {
				continue
			}
			if of := all[SlotOf(key)]; of != nil {
				of[key] = append(of[key], kv)
			}
		}
	}
	return all, nil
}

// begin starts a slot with what was read. Machines that do something by themselves are
// needed in memory from now on; of the others only their summaries, and when they expire.
// Values that can't be decoded cost their machine alone.
func (s *slot) begin(stored map[string][]metadata.KV) {
	select {
	case <-s.stop:
		return // given up meanwhile
	default:
	}
	now := time.Now()
	for _, key := range slices.Sorted(maps.Keys(stored)) {
		e := s.enter(key)
		e.used = now
		m, stay, err := s.c.kind.Load(key, stored[key])
		switch {
		case err != nil:
			s.c.log.Error(s.c.kind.log("can't be read"), s.c.kind.Name, key, "err", err)
			e.summary = s.c.kind.Unreadable(key)
			s.schedule(e, now.Add(s.c.cfg.RereadAfter))
		case stay:
			s.materialise(e, m, stored[key])
		default:
			e.summary = m.Summary()
			s.show(e, m.State())
			s.expire(e, m.Expiry(), now)
		}
	}
	close(s.ready)
	go s.run()
}

// materialise puts a machine that was read into memory.
func (s *slot) materialise(e *entry, m Machine, stored []metadata.KV) {
	e.mods = map[string]metadata.Revision{}
	for _, kv := range stored {
		e.mods[kv.Key] = kv.Mod
	}
	s.hold(e, m)
	s.step(e, Loaded{})
}

// read brings one machine into memory, for the tasks that wait for it.
func (s *slot) read(e *entry) {
	e.loading = true
	s.fly(func() func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.c.cfg.ReadTimeout)
		defer cancel()
		stored, err := s.c.readOne(ctx, e.key)
		var m Machine
		if err == nil {
			m, _, err = s.c.kind.Load(e.key, stored)
		}
		return func() { s.loaded(e, m, stored, err) }
	})
}

// readOne reads one machine's values.
func (c *Coordinator) readOne(ctx context.Context, key string) (stored []metadata.KV, err error) {
	for _, v := range c.kind.Values {
		var kvs []metadata.KV
		if v.Many {
			kvs, _, err = c.reader.List(ctx, v.At(key))
		} else {
			kvs = make([]metadata.KV, 1)
			kvs[0], err = c.reader.Get(ctx, v.At(key))
		}
		switch {
		case err == nil:
			stored = append(stored, kvs...)
		case !errors.Is(err, metadata.ErrNotFound):
			return nil, err
		}
	}
	return stored, nil
}

// loaded is the end of a reading.
func (s *slot) loaded(e *entry, m Machine, stored []metadata.KV, err error) {
	e.loading = false
	if e.tidying {
		e.tidying = false
		s.tidying--
	}
	waiting := e.waiting
	e.waiting = nil
	if err != nil {
		s.c.log.Warn(s.c.kind.log("can't be read yet"), s.c.kind.Name, e.key, "err", err)
		for _, t := range waiting {
			t.fail(ErrLoading)
		}
		again := s.c.cfg.ReadTimeout
		var bad *schema.ValueError
		if errors.As(err, &bad) {
			again = s.c.cfg.RereadAfter // someone has to mend it first
		}
		s.schedule(e, time.Now().Add(again))
		return
	}
	s.materialise(e, m, stored)
	for _, t := range waiting {
		// A machine that turned out not to be there has left.
		s.start(e.key, t)
	}
}
