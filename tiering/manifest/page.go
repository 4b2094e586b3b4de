// Package manifest keeps which slices a partition consists of: the newest are in its head,
// the others in a tree of immutable pages. It looks slices up, changes the tree copy on
// write, and commits such a change with the head.
//
// It promises that a change names only what is in the bucket already, and that it is stored
// by the partition's owner or not at all. It never deletes an object.
package manifest

import (
	"encoding/binary"
	"fmt"

	"varve/internal/id"
	"varve/internal/wire"
	"varve/metadata/schema"
	"varve/tiering/object"
)

// A manifest is a tree of immutable pages, one object each. A leaf lists slices, a
// page above lists pages; both at most PageEntries, in order of offsets. A change
// writes the pages on the way to the root anew and stores the new root in the head.
//
// A page is sealed as the parts of an object are (format.go):
//
//	magic      4 bytes  "VPAG"
//	version    1 byte   1
//	level      1 byte   0 for a leaf; a page's children are one level below it
//	topic id   16 bytes
//	topic      string   its name when this was written; "" if unknown
//	partition  uvarint
//	leaf: slices as in heads (schema.AppendSlices)
//	else: children uvarint, then for each:
//	  writer, number, length       uvarint   of the page
//	  base, end                    varint    offsets
//	  min time, max time           varint    over all slices below, ms; min is -1 if one has none or only a hint, max if all have none
//	  min epoch, max epoch         varint
//	  slices, bytes                uvarint   below it
//	checksum   uint32
const (
	// PageEntries is how many slices or pages a page lists.
	PageEntries = 1024
	magicPage   = "VPAG"
	// maxLevel bounds the depth of a tree: more than 10^12 slices.
	maxLevel = 4
)

// Span is what a slice, or all that is below a page, covers.
type Span struct {
	Base, End          int64
	MinTime, MaxTime   int64
	MinEpoch, MaxEpoch id.Epoch
	// Hint is set if MaxTime may be wrong: it is a producer's word, and the records were not read.
	Hint bool
}

// Child is a page as its parent knows it.
type Child struct {
	schema.Page
	Span
	Slices int64
	Bytes  int64
}

// Page is a decoded page. It is shared and never changed.
type Page struct {
	Partition id.Partition
	Topic     string
	Level     uint8
	Slices    []schema.Slice // of a leaf
	Children  []Child        // of any other
}

// SpanOf returns what a slice covers.
func SpanOf(s *schema.Slice) Span {
	return Span{s.Base, s.End, s.MinTime, s.MaxTime, s.MinEpoch, s.MaxEpoch, !s.Object.TimesKnown()}
}

func (s *Span) add(o Span) {
	s.End = o.End
	s.MinTime = min(s.MinTime, o.MinTime)
	s.MaxTime, s.MaxEpoch = max(s.MaxTime, o.MaxTime), max(s.MaxEpoch, o.MaxEpoch)
	s.Hint = s.Hint || o.Hint
}

// sum describes the page to its parent, but for where it is.
func (p *Page) sum() Child {
	var c Child
	for i := range p.Slices {
		s := &p.Slices[i]
		c.count(i == 0, SpanOf(s), 1, s.Bytes)
	}
	for i := range p.Children {
		k := &p.Children[i]
		c.count(i == 0, k.Span, k.Slices, k.Bytes)
	}
	return c
}

func (c *Child) count(first bool, s Span, slices, bytes int64) {
	if first {
		c.Span = s
	} else {
		c.add(s)
	}
	c.Slices += slices
	c.Bytes += bytes
}

func (p *Page) encode() []byte {
	return object.Seal(nil, magicPage, func(b []byte) []byte {
		b = append(b, p.Level)
		b = append(b, p.Partition.Topic[:]...)
		b = wire.AppendString(b, p.Topic)
		b = binary.AppendUvarint(b, uint64(p.Partition.Index))
		if p.Level == 0 {
			return schema.AppendSlices(b, p.Slices)
		}
		b = binary.AppendUvarint(b, uint64(len(p.Children)))
		for i := range p.Children {
			b = p.Children[i].append(b)
		}
		return b
	})
}

func (c *Child) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(c.Object.Writer))
	b = binary.AppendUvarint(b, c.Object.Seq)
	b = binary.AppendUvarint(b, uint64(c.Len))
	least := c.MinTime
	if c.Hint {
		least = -1
	}
	for _, v := range []int64{c.Base, c.End, least, c.MaxTime, int64(c.MinEpoch), int64(c.MaxEpoch)} {
		b = binary.AppendVarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(c.Slices))
	return binary.AppendUvarint(b, uint64(c.Bytes))
}

func readChild(r *wire.Reader) Child {
	var c Child
	c.Object = schema.Object{Writer: id.Incarnation(r.Uvarint()), Seq: r.Uvarint()}
	c.Len = object.ReadInt32(r)
	c.Base, c.End, c.MinTime, c.MaxTime = r.Varint(), r.Varint(), r.Varint(), r.Varint()
	c.MinEpoch, c.MaxEpoch = id.Epoch(r.Varint()), id.Epoch(r.Varint())
	c.Slices, c.Bytes = object.ReadPosition(r), object.ReadPosition(r)
	c.Hint = c.MinTime < 0 || !c.Object.TimesKnown()
	return c
}

// DecodePage reads what a Page is encoded to.
func DecodePage(b []byte) (*Page, error) {
	p := new(Page)
	err := object.Unseal(magicPage, b, func(r *wire.Reader) {
		p.Level = r.U8()
		copy(p.Partition.Topic[:], r.Fixed(16))
		p.Topic = r.String()
		p.Partition.Index = object.ReadInt32(r)
		if p.Level == 0 {
			p.Slices = schema.ReadSlices(r)
			return
		}
		for n := r.Count(11); n > 0; n-- {
			p.Children = append(p.Children, readChild(r))
		}
	})
	if err != nil {
		return nil, err
	}
	return p, p.check()
}

// check proves that a page is not empty and its entries are contiguous.
func (p *Page) check() error {
	n := len(p.Slices) + len(p.Children)
	if n == 0 || n > PageEntries || p.Level > maxLevel || p.Partition.Index < 0 {
		return fmt.Errorf("page of level %d with %d entries: %w", p.Level, n, object.ErrInconsistent)
	}
	var end int64
	for i := range n {
		base, next := p.Bounds(i)
		if base < 0 || next <= base || i > 0 && base != end {
			return fmt.Errorf("entry %d at %d to %d behind %d: %w", i, base, next, end, object.ErrInconsistent)
		}
		end = next
	}
	for i := range p.Children {
		if c := &p.Children[i]; c.Len <= 0 || c.Len > object.MaxSealedBytes || c.Slices <= 0 || c.Bytes < 0 {
			return fmt.Errorf("child %d: %w", i, object.ErrInconsistent)
		}
	}
	return nil
}

// Bounds returns the offsets of the entry with index i.
func (p *Page) Bounds(i int) (base, end int64) {
	if p.Level == 0 {
		return p.Slices[i].Base, p.Slices[i].End
	}
	return p.Children[i].Base, p.Children[i].End
}
