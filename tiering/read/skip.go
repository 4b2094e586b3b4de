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
	"varve/metadata"
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
	// Clock gives the time in ms since 1970.
	Clock func() int64
	// Dropped is told of objects that a partition doesn't need any more.
	Dropped func([]metadata.Object)
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
		err = e.Commit(ctx, s)
		if ctx.Err() == nil {
			d.Settle()
		}
		if errors.Is(err, manifest.ErrStale) {
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
	h        *metadata.Head
	p        id.Partition
	from, to int64
	gone     []object.HoleError
	dropped  []metadata.Object
}

func (m *repair) mend(ctx context.Context) (*manifest.Edit, error) {
	e := manifest.NewEdit(m.h)
	if m.h.Manifest.Slices > 0 && m.h.Manifest.End > m.from {
		t := manifest.NewTree(m.d, m.p, m.k.deps.Topic(m.p.Topic))
		root, changed, err := m.page(ctx, t, m.h.Manifest.Root, manifest.Span{Base: m.h.Manifest.Base, End: m.h.Manifest.End, MinTime: -1, MaxTime: -1}, -1)
		if err != nil {
			return nil, err
		}
		if changed {
			e.Manifest = manifest.Of(root)
			l, err := manifest.CountLive(ctx, m.d, m.p, e.Manifest, e.Start)
			if err != nil {
				return nil, err
			}
			e.Manifest.Bytes = l.Bytes
		}
	}
	for i := range e.Slices {
		if _, err := m.slice(ctx, &e.Slices[i]); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// page returns the page that replaces the one at at. It has this level; -1: any.
func (m *repair) page(ctx context.Context, t *manifest.Tree, at metadata.Page, s manifest.Span, level int) (c manifest.Child, changed bool, err error) {
	p, err := m.d.Page(ctx, m.p, at)
	if err != nil {
		if !object.Unreadable(err) {
			return c, false, err
		}
		c, err = m.lostPage(ctx, t, s, object.PageKey(at.Object), level, err)
		return c, true, err
	}
	mended := manifest.Page{Level: p.Level, Slices: slices.Clone(p.Slices), Children: slices.Clone(p.Children)}
	for i := range mended.Slices {
		one, err := m.slice(ctx, &mended.Slices[i])
		if err != nil {
			return c, false, err
		}
		changed = changed || one
	}
	for i := range mended.Children {
		k := &mended.Children[i]
		if k.End <= m.from || k.Base >= m.to {
			continue
		}
		made, one, err := m.page(ctx, t, k.Page, k.Span, int(p.Level)-1)
		if err != nil {
			return c, false, err
		}
		if one {
			*k, changed = made, true
		}
	}
	if !changed {
		return t.Known(p, at), false, nil
	}
	c, err = t.Write(ctx, &mended)
	return c, true, err
}

// lostPage stands in for a page and all that it led to.
func (m *repair) lostPage(ctx context.Context, t *manifest.Tree, s manifest.Span, key string, level int, why error) (c manifest.Child, err error) {
	if err := m.give(s.Base, s.End, key, why); err != nil {
		return c, err
	}
	made, err := m.store(ctx, &metadata.Slice{Base: s.Base, End: s.End, MinTime: s.MinTime, MaxTime: s.MaxTime, MinEpoch: s.MinEpoch, MaxEpoch: s.MaxEpoch}, nil, []left{}, false)
	if err != nil {
		return c, err
	}
	if c, err = t.Write(ctx, &manifest.Page{Slices: []metadata.Slice{made}}); err != nil {
		return c, err
	}
	for l := 1; l <= level && err == nil; l++ {
		c, err = t.Write(ctx, &manifest.Page{Level: uint8(l), Children: []manifest.Child{c}})
	}
	return c, err
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

// slice replaces one by what can be read of it, if that isn't all.
func (m *repair) slice(ctx context.Context, s *metadata.Slice) (changed bool, err error) {
	if s.End <= m.from || s.Base >= m.to || s.End <= m.h.LogStart {
		return false, nil
	}
	r := m.k.reader
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	key := object.Key(s.Object)
	x, parts := (*object.Index)(nil), []left{}
	err = r.present(ctx, s.Object) // caches may still have some of it
	if err == nil {
		x, err = r.index(ctx, s)
	}
	if err == nil {
		parts, err = m.blocks(ctx, r, s, x)
	}
	switch {
	case err == nil && !slices.ContainsFunc(parts, func(p left) bool { return p.batches == nil }):
		return false, nil
	case err == nil:
	case !object.Unreadable(err):
		return false, err
	default:
		x, parts = nil, nil
		if err := m.give(s.Base, s.End, key, err); err != nil {
			return false, err
		}
	}
	made, err := m.store(ctx, s, x, parts, s.End == m.h.TieredEnd)
	if err != nil {
		return false, err
	}
	m.dropped = append(m.dropped, s.Object)
	*s = made
	return true, nil
}

// blocks reads all blocks of a slice; those that can't be read are given up.
func (m *repair) blocks(ctx context.Context, r *Reader, s *metadata.Slice, x *object.Index) (parts []left, err error) {
	for i := range x.Blocks {
		k := &x.Blocks[i]
		p, b, err := r.block(ctx, s.Object, k, true)
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
func (m *repair) store(ctx context.Context, s *metadata.Slice, x *object.Index, parts []left, newest bool) (metadata.Slice, error) {
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
	b := object.NewBuilder(room, free, m.k.deps.Clock(), func() bool { return false }, nil)
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
func (m *repair) remembered(ctx context.Context, s *metadata.Slice, x *object.Index, newest bool) (producers []object.Producer, aborted []object.Aborted) {
	if x != nil {
		aborted = x.Aborted
	}
	if newest {
		producers = []object.Producer{}
		if x != nil && x.StateLen > 0 {
			if known, err := m.k.reader.state(ctx, s.Object, x); err == nil {
				producers = known
			}
		}
	}
	return producers, aborted
}

// empties are batches without records for a range, with a new one where the leader's epoch
// changed as far as the head knows.
func (m *repair) empties(s *metadata.Slice, base, end int64) (all []byte) {
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
func (r *Reader) present(ctx context.Context, o metadata.Object) error {
	_, err := r.size(ctx, o)
	return err
}
