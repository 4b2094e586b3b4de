package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/group/offsets"
	"varve/metadata"
)

// image is what the store holds of a group.
type image struct {
	record  *metadata.Group
	offsets map[offsets.Shard]metadata.Offsets
	mods    map[string]metadata.Revision
}

func newImage() *image {
	return &image{offsets: map[offsets.Shard]metadata.Offsets{}, mods: map[string]metadata.Revision{}}
}

func (m *image) addRecord(kv metadata.KV) error {
	rec, err := metadata.DecodeGroup(kv.Value)
	if err != nil {
		return fmt.Errorf("read %s: %w", kv.Key, err)
	}
	m.record = &rec
	m.mods[kv.Key] = kv.Mod
	return nil
}

func (m *image) addOffsets(kv metadata.KV) error {
	at, value, err := offsets.Decode(kv)
	if err != nil {
		return err
	}
	m.offsets[at] = value
	m.mods[kv.Key] = kv.Mod
	return nil
}

// load reads all groups of slots and starts these.
func (c *Coordinator) load(slots []*slot) {
	wait := 50 * time.Millisecond
	for {
		images, err := c.readAll(slots)
		if err == nil {
			for _, s := range slots {
				s.begin(images)
			}
			return
		}
		if c.ctx.Err() == nil {
			c.log.Warn("groups can't be read yet", "err", err)
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, 2*time.Second)
		case <-c.ctx.Done():
			return
		}
	}
}

// readAll reads the groups of slots, by name. A value that can't be decoded
// costs its group alone: the group's image is nil.
func (c *Coordinator) readAll(slots []*slot) (map[string]*image, error) {
	mine := [Slots]bool{}
	for _, s := range slots {
		mine[s.n] = true
	}
	images := map[string]*image{}
	add := func(group string, kv metadata.KV, add func(*image, metadata.KV) error) {
		if !mine[SlotOf(group)] {
			return
		}
		m, known := images[group]
		if !known {
			m = newImage()
			images[group] = m
		}
		if m == nil {
			return
		}
		if err := add(m, kv); err != nil {
			c.log.Error("group can't be read", "group", group, "err", err)
			images[group] = nil
		}
	}
	kvs, _, err := c.reader.List(c.ctx, metadata.PrefixGroups)
	if err != nil {
		return nil, err
	}
	for _, kv := range kvs {
		if group, err := metadata.ParseGroupKey(kv.Key); err == nil {
			add(group, kv, (*image).addRecord)
		}
	}
	if kvs, _, err = c.reader.List(c.ctx, metadata.PrefixOffsets); err != nil {
		return nil, err
	}
	for _, kv := range kvs {
		if group, _, _, err := metadata.ParseOffsetsKey(kv.Key); err == nil {
			add(group, kv, (*image).addOffsets)
		}
	}
	return images, nil
}

// begin starts a slot with what was read. Groups with members are needed in
// memory from now on, since their sessions run; of the others only what lists
// them, and when they expire.
func (s *slot) begin(images map[string]*image) {
	select {
	case <-s.stop:
		return // given up meanwhile
	default:
	}
	now := time.Now()
	for name, m := range images {
		if SlotOf(name) != s.n {
			continue
		}
		e := s.enter(name)
		e.used = now
		if m == nil {
			e.listing = Listing{Group: name, State: Dead}
			s.schedule(e, now.Add(s.c.cfg.RetentionCheck))
			continue
		}
		g := Load(name, &s.c.cfg, m.record, m.offsets)
		if g.State() == Stable || m.record == nil {
			s.materialise(e, g, m)
			continue
		}
		e.listing, e.progress = g.List(), g.progress()
		s.show(e, g.State())
		s.schedule(e, later(g.Expiry(), now.Add(time.Second)))
	}
	close(s.ready)
	go s.run()
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// materialise puts a group that was read into memory.
func (s *slot) materialise(e *entry, g *Group, m *image) {
	e.mods = m.mods
	s.hold(e, g)
	s.step(e, Loaded{})
}

// read brings one group into memory, for the tasks that wait for it.
func (s *slot) read(e *entry) {
	e.loading = true
	s.fly(func() func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.c.cfg.CommitTimeout)
		defer cancel()
		m, err := s.c.readOne(ctx, e.id)
		return func() { s.loaded(e, m, err) }
	})
}

// readOne reads one group.
func (c *Coordinator) readOne(ctx context.Context, group string) (*image, error) {
	m := newImage()
	kv, err := c.reader.Get(ctx, metadata.GroupKey(group))
	if err == nil {
		err = m.addRecord(kv)
	}
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return nil, err
	}
	kvs, _, err := c.reader.List(ctx, metadata.GroupOffsets(group))
	if err != nil {
		return nil, err
	}
	for _, kv := range kvs {
		if err := m.addOffsets(kv); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// loaded is the end of a reading.
func (s *slot) loaded(e *entry, m *image, err error) {
	e.loading = false
	if e.tidying {
		e.tidying = false
		s.tidying--
	}
	waiting := e.waiting
	e.waiting = nil
	if err != nil {
		s.c.log.Warn("group can't be read yet", "group", e.id, "err", err)
		for _, t := range waiting {
			t.fail(ErrLoading)
		}
		again := s.c.cfg.CommitTimeout
		var bad *metadata.ValueError
		if errors.As(err, &bad) {
			again = s.c.cfg.RetentionCheck // somebody has to mend it first
		}
		s.schedule(e, time.Now().Add(again))
		return
	}
	s.materialise(e, Load(e.id, &s.c.cfg, m.record, m.offsets), m)
	for _, t := range waiting {
		// A group that turned out not to be there has left.
		s.start(e.id, t)
	}
}
