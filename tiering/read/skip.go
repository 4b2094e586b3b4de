package read

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// ErrReadable: a range that was to be skipped can be read, or doesn't fit what can't.
var ErrReadable = errors.New("the range is not what can't be read")

// SkipDeps is what a Skipper works with.
type SkipDeps struct {
	Store s3store.Store
	IDs   *manifest.ObjectIDs
	Topic func(id.Topic) string
	// Clock returns the time in ms since 1970.
	Clock func() int64
	// Dropped is called with objects that a partition doesn't need any more.
	Dropped func([]schema.Object)
	Random  *chance.Source // spreads retries; nil is the system's
	Log     *slog.Logger
}

// Skipper puts batches without records in the place of those that can't be read.
type Skipper struct {
	reader *Reader
	deps   SkipDeps
	put    *manifest.Putter
}

// NewSkipper makes a skipper, which reads with a reader.
func NewSkipper(r *Reader, deps SkipDeps) *Skipper {
	put := manifest.NewPutter(deps.Store, deps.Log, deps.Random, 500*time.Millisecond, 10*time.Second, func(error) {}, func() int64 { return 0 })
	return &Skipper{reader: r, deps: deps, put: put}
}

// Skip lets consumers pass over records that can't be read, as over those that compaction
// removed: batches without records take the place of what is lost, in objects of their own
// that the head, or the manifest, names from then on. What can be read in the same objects
// stays. Nothing outside [from, to) is given up, and nothing that can be read. It returns
// the ranges that were given up.
func (k *Skipper) Skip(ctx context.Context, s manifest.Owned, from, to int64) ([]object.HoleError, error) {
	for {
		h, p := s.Head(), s.Partition()
		if from < h.LogStart || to > h.TieredEnd || from >= to {
			return nil, fmt.Errorf("skip offsets %d to %d of %v, whose tier holds %d to %d: %w", from, to, p, h.LogStart, h.TieredEnd, ErrReadable)
		}
		d := manifest.NewPageWriter(k.reader, k.put, k.deps.IDs, func() {})
		m := &repair{k: k, d: d, h: h, p: p, from: from, to: to}
		e, err := m.mend(ctx)
		if err == nil && len(m.gone) == 0 {
			err = fmt.Errorf("offsets %d to %d of %v: all of them can be read: %w", from, to, p, ErrReadable)
		}
		if err != nil {
			d.Settle()
			return nil, err
		}
		_, _, err = e.Commit(ctx, s, d, k.deps.Topic(p.Topic))
		if ctx.Err() == nil {
			d.Settle()
		}
		if errors.Is(err, manifest.ErrChanged) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("skip offsets %d to %d of %v: %w", from, to, p, err)
		}
		if len(m.dropped) > 0 {
			k.deps.Dropped(m.dropped)
		}
		return m.gone, nil
	}
}

// repair makes the objects that stand in for what can't be read.
type repair struct {
	k        *Skipper
	d        *manifest.PageWriter
	h        *schema.Head
	p        id.Partition
	from, to int64
	gone     []object.HoleError
	dropped  []schema.Object

	edit manifest.Edit  // from the first slice that is replaced to the last
	rest []schema.Slice // those after it that stay
}

func (m *repair) mend(ctx context.Context) (*manifest.Edit, error) {
	if t := &m.h.Manifest; t.Slices > 0 && t.End > m.from {
		if err := m.page(ctx, t.Root, manifest.Span{Base: t.Base, End: t.End, MinTime: -1, MaxTime: -1}); err != nil {
			return nil, err
		}
	}
	return &m.edit, m.slices(ctx, m.h.Slices)
}

// page goes through all that a page refers to.
func (m *repair) page(ctx context.Context, at schema.Page, s manifest.Span) error {
	p, err := m.d.Page(ctx, m.p, at)
	if object.Unreadable(err) {
		return m.lostPage(ctx, at, s, err)
	}
	if err != nil {
		return err
	}
	for i := range p.Children {
		k := &p.Children[i]
		if k.End <= m.from || k.Base >= m.to {
			continue
		}
		if err := m.page(ctx, k.Page, k.Span); err != nil {
			return err
		}
	}
	return m.slices(ctx, p.Slices)
}

func (m *repair) slices(ctx context.Context, list []schema.Slice) error {
	for i := range list {
		s := &list[i]
		if s.End <= m.from || s.Base >= m.to {
			continue
		}
		made, changed, err := m.slice(ctx, s)
		if err != nil {
			return err
		}
		if changed {
			m.replace(s.Base, made)
			m.edit.Was = append(m.edit.Was, *s)
		} else if len(m.edit.Now) > 0 {
			m.rest = append(m.rest, *s)
		}
	}
	return nil
}

// replace extends the edit to a range of which one slice is made.
func (m *repair) replace(base int64, made schema.Slice) {
	if len(m.edit.Now) == 0 {
		m.edit.From = base
	}
	m.edit.Was, m.edit.Now = append(m.edit.Was, m.rest...), append(append(m.edit.Now, m.rest...), made)
	m.edit.To, m.rest = made.End, nil
}

// lostPage stands in for a page and all that it led to.
func (m *repair) lostPage(ctx context.Context, at schema.Page, s manifest.Span, why error) error {
	if err := m.give(s.Base, s.End, object.PageKey(at.Object), why); err != nil {
		return err
	}
	made, err := m.store(ctx, &schema.Slice{Base: s.Base, End: s.End, MinTime: s.MinTime, MaxTime: s.MaxTime, MinEpoch: s.MinEpoch, MaxEpoch: s.MaxEpoch}, nil, []left{}, false)
	if err != nil {
		return err
	}
	m.replace(s.Base, made)
	m.edit.Lost = append(m.edit.Lost, at)
	return nil
}

// give notes that a range is given up, if all of it that consumers may read was named.
func (m *repair) give(from, to int64, key string, why error) error {
	least := max(from, m.h.LogStart)
	if least < m.from || to > m.to {
		return fmt.Errorf("offsets %d to %d of %v can't be read, and only %d to %d were named: name all of them: %w", least, to, m.p, m.from, m.to, ErrReadable)
	}
	m.gone = append(m.gone, object.HoleError{Partition: m.p, From: least, To: to, Key: key, Err: why})
	return nil
}

// left is a piece of a slice, in order: batches, or what stands in for them.
type left struct {
	base, end int64
	batches   []byte // nil: lost
}

// slice returns what can be read of one, if that isn't all.
func (m *repair) slice(ctx context.Context, s *schema.Slice) (made schema.Slice, changed bool, err error) {
	if s.End <= m.h.LogStart {
		return made, false, nil
	}
	r := m.k.reader
	if err := r.enter(); err != nil {
		return made, false, err
	}
	defer r.leave()
	key := object.Key(s.Object)
	x, parts := (*object.Index)(nil), []left{}
	err = r.present(ctx, s.Object) // caches may still have some of it
	if err == nil {
		x, err = r.parts.index(ctx, s)
	}
	if err == nil {
		parts, err = m.blocks(ctx, r, s, x)
	}
	switch {
	case err == nil && !slices.ContainsFunc(parts, func(p left) bool { return p.batches == nil }):
		return made, false, nil
	case err == nil:
	case !object.Unreadable(err):
		return made, false, err
	default:
		x, parts = nil, nil
		if err := m.give(s.Base, s.End, key, err); err != nil {
			return made, false, err
		}
	}
	made, err = m.store(ctx, s, x, parts, s.End == m.h.TieredEnd)
	if err != nil {
		return made, false, err
	}
	m.dropped = append(m.dropped, s.Object)
	return made, true, nil
}

// blocks reads all blocks of a slice; those that can't be read are given up.
func (m *repair) blocks(ctx context.Context, r *Reader, s *schema.Slice, x *object.Index) (parts []left, err error) {
	for i := range x.Blocks {
		k := &x.Blocks[i]
		p, b, err := r.parts.block(ctx, s.Object, k, true)
		switch {
		case err == nil:
			parts = append(parts, left{k.Base, k.End, slices.Clone(p)})
			b.release()
		case errors.Is(err, object.ErrGone) || !object.Unreadable(err):
			return nil, err
		case k.End <= m.h.LogStart:
			parts = append(parts, left{k.Base, k.End, nil})
		default:
			if err := m.give(k.Base, k.End, object.Key(s.Object), err); err != nil {
				return nil, err
			}
			parts = append(parts, left{k.Base, k.End, nil})
		}
	}
	return parts, nil
}

// store writes the object that stands in for a slice. Its times stay the slice's:
// retention is to go on as if nothing was lost.
func (m *repair) store(ctx context.Context, s *schema.Slice, x *object.Index, parts []left, newest bool) (schema.Slice, error) {
	if len(parts) == 0 {
		parts = []left{{s.Base, s.End, nil}}
	}
	const free = 4 << 10
	room := make([]byte, free)
	for i := range parts {
		if p := &parts[i]; p.batches != nil {
			room = append(room, p.batches...)
		} else {
			room = append(room, m.empties(s, p.base, p.end)...)
		}
	}
	b := object.NewBuilder(room, free, len(room), m.k.deps.Clock(), func() bool { return false }, nil)
	b.Begin(m.p, m.k.deps.Topic(m.p.Topic))
	for at := free; at < len(room); {
		batch, _, err := kafka.Next(room[at:])
		if err != nil {
			return *s, err
		}
		n := len(batch)
		if err := b.Add(&object.Batch{Base: batch.BaseOffset(), End: batch.NextOffset(), Size: int32(n), MaxTime: batch.MaxTimestamp(), Epoch: id.Epoch(batch.LeaderEpoch())}, at); err != nil {
			return *s, err
		}
		at += n
	}
	producers, aborted := m.remembered(ctx, s, x, newest)
	made := b.End(producers, aborted)
	for {
		o := m.d.Next()
		err := m.k.put.Put(ctx, object.Key(o), b.Finish(o))
		if errors.Is(err, manifest.ErrTaken) {
			continue
		}
		made.Object, made.MinTime, made.MaxTime = o, s.MinTime, s.MaxTime
		return made, err
	}
}

// remembered is what a slice knew beside its records, as far as that can be read. The
// newest one must have producers, even if none is known any more.
func (m *repair) remembered(ctx context.Context, s *schema.Slice, x *object.Index, newest bool) (producers []object.Producer, aborted []object.Aborted) {
	if x != nil {
		aborted = x.Aborted
	}
	if newest {
		producers = []object.Producer{}
		if x != nil && x.StateLen > 0 {
			if known, err := m.k.reader.parts.state(ctx, s.Object, x); err == nil {
				producers = known
			}
		}
	}
	return producers, aborted
}

// empties are batches without records for a range, with a new one where the leader's epoch
// changed as far as the head knows.
func (m *repair) empties(s *schema.Slice, base, end int64) (all []byte) {
	for base < end {
		next, epoch := min(end, base+1<<30), s.MinEpoch
		for _, e := range m.h.Epochs {
			if e.Start <= base && e.Epoch >= epoch && e.Epoch <= s.MaxEpoch {
				epoch = e.Epoch
			} else if e.Start > base && e.Epoch > s.MinEpoch && e.Epoch <= s.MaxEpoch {
				next = min(next, e.Start)
			}
		}
		if next == s.End && epoch < s.MaxEpoch {
			if next-base > 1 {
				next--
			} else {
				epoch = s.MaxEpoch
			}
		}
		all = append(all, kafka.Empty(base, next, int32(epoch))...)
		base = next
	}
	return all
}

// present asks the bucket itself whether an object is there.
func (r *Reader) present(ctx context.Context, o schema.Object) error {
	_, err := r.size(ctx, o)
	return err
}
