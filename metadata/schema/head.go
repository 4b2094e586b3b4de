package schema

import (
	"encoding/binary"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/internal/wire"
)

// MaxHeadSlices is how many slices a head keeps before they must be folded into
// the manifest; MaxEpochStarts how many of the newest leader epochs it remembers
// (older ones are found through the slices).
const (
	MaxHeadSlices  = 64
	MaxEpochStarts = 64
)

// Object names an object in the tier: the incarnation that wrote it and a number
// that is unique in that incarnation.
type Object struct {
	Writer id.Incarnation
	Seq    uint64
}

// FirstTimed is the number from which an incarnation names objects whose timestamps are
// those of the records. Objects with lower numbers come from agents that believed the
// headers of producers: their times are hints. An incarnation has numbers of one kind only.
const FirstTimed = 1 << 40

// TimesKnown reports whether the times that are stored of the object are those of the
// records in it, or, of a page, of all that it lists.
func (o Object) TimesKnown() bool { return o.Seq >= FirstTimed }

func (o Object) String() string { return fmt.Sprintf("%d-%d", o.Writer, o.Seq) }

// Slice describes a partition's contiguous run of batches inside an object.
type Slice struct {
	Object   Object
	Base     int64    // first offset
	End      int64    // the offset after the last
	MinTime  int64    // smallest of its batches' first timestamps, in ms; records may be older; -1 if none has one
	MaxTime  int64    // largest timestamp of all its records, in ms; a hint unless Object.TimesKnown
	MinEpoch id.Epoch // leader epochs of the first and last batch
	MaxEpoch id.Epoch
	Bytes    int64 // of its record batches, as a client fetches them
	IndexAt  int64 // where in the object its index is
	IndexLen int32
}

// Page names an immutable page of a manifest; its key in the tier is made of
// Object. A zero Object is no page.
type Page struct {
	Object Object
	Len    int32 // bytes
}

// Manifest is the root of a partition's tree of older slices.
type Manifest struct {
	Root   Page
	Base   int64 // first offset it covers
	End    int64 // the offset after the last
	Slices int64
	Bytes  int64 // of those of its slices that end above the log start
}

// Link is one stretch of a partition's chain: its records of leader epoch Epoch,
// which begin at Start and reach to the next link's, are in the journals of Writer.
type Link struct {
	Writer id.Incarnation
	Epoch  id.Epoch
	Start  int64 // StartUnknown until the owner has stored what it adopted
}

// StartUnknown is the start of a link whose writer was made owner by the
// controller: where the links before it end, as sealed, it begins.
const StartUnknown = -1

// EpochStart is the offset at which a leader epoch began (KIP-101).
type EpochStart struct {
	Epoch id.Epoch
	Start int64
}

// Ownership is who leads a partition, and in whose journals its newest records are. It has
// a key of its own, which every agent follows: it changes when the owner does, not with
// every upload. Chain covers everything from the head's TieredEnd on; its last link is the
// owner's.
type Ownership struct {
	Owner  id.Incarnation
	Broker id.Broker // the owner's
	Epoch  id.Epoch
	Chain  []Link
}

// Head is all that is stored of a partition: its ownership, and where its data is. Its two
// keys are read and written by StoredHead.
//
// Invariant: LogStart <= TieredEnd unless everything is below LogStart; Slices
// are contiguous, end at TieredEnd, and begin where the manifest ends. The newest
// slice stays while a producer may come back that its object remembers, even if
// all of it is below LogStart.
type Head struct {
	Ownership
	LogStart  int64
	TieredEnd int64
	Epochs    []EpochStart
	Manifest  Manifest
	Slices    []Slice
}

// TieredBytes is the size of all slices in the tier that reach above the log start.
func (h *Head) TieredBytes() int64 { return h.Manifest.Bytes + h.above(h.Slices) }

// above is the size of those slices that end above the log start.
func (h *Head) above(list []Slice) (bytes int64) {
	for i := range list {
		if list[i].End > h.LogStart {
			bytes += list[i].Bytes
		}
	}
	return bytes
}

// Encode writes the value.
func (o Ownership) Encode() []byte {
	b := make([]byte, 0, 32+16*len(o.Chain))
	b = binary.AppendUvarint(append(b, 1), uint64(o.Owner))
	b = binary.AppendVarint(b, int64(o.Broker))
	b = binary.AppendVarint(b, int64(o.Epoch))
	b = binary.AppendUvarint(b, uint64(len(o.Chain)))
	for _, l := range o.Chain {
		b = binary.AppendUvarint(b, uint64(l.Writer))
		b = binary.AppendVarint(b, int64(l.Epoch))
		b = binary.AppendVarint(b, l.Start)
	}
	return b
}

// DecodeOwnership reads what Encode writes.
func DecodeOwnership(b []byte) (o Ownership, err error) {
	err = decode("ownership", 1, b, func(r *wire.Reader) {
		o.Owner, o.Broker, o.Epoch = id.Incarnation(r.Uvarint()), id.Broker(r.Varint()), id.Epoch(r.Varint())
		o.readChain(r)
	})
	return o, err
}

func (o *Ownership) readChain(r *wire.Reader) {
	for n := r.Count(3); n > 0; n-- {
		o.Chain = append(o.Chain, Link{id.Incarnation(r.Uvarint()), id.Epoch(r.Varint()), r.Varint()})
	}
}

// Encode writes what the head's own key holds: all but the ownership. It begins with the
// owner that writes it, so that no two owners write the same value.
func (h *Head) Encode() []byte {
	b := make([]byte, 0, 64+8*len(h.Epochs)+48*len(h.Slices))
	b = binary.AppendUvarint(append(b, headVersion), uint64(h.Owner))
	b = binary.AppendVarint(b, int64(h.Epoch))
	b = binary.AppendVarint(b, h.LogStart)
	b = binary.AppendVarint(b, h.TieredEnd)
	b = binary.AppendUvarint(b, uint64(len(h.Epochs)))
	for _, e := range h.Epochs {
		b = binary.AppendVarint(b, int64(e.Epoch))
		b = binary.AppendVarint(b, e.Start)
	}
	b = appendPage(b, h.Manifest.Root)
	b = binary.AppendVarint(b, h.Manifest.Base)
	b = binary.AppendVarint(b, h.Manifest.End)
	b = binary.AppendVarint(b, h.Manifest.Slices)
	b = binary.AppendVarint(b, h.Manifest.Bytes)
	return AppendSlices(b, h.Slices)
}

// headVersion is the version of heads whose ownership has a key of its own. A head of
// version 1 has it, too: SplitHeads moves it.
const headVersion = 2

// DecodeHead reads what Encode writes. Of the ownership it has only who wrote it, and in
// which epoch; GetHead and ListHeads add the present one.
func DecodeHead(b []byte) (*Head, error) {
	if len(b) > 0 && b[0] == 1 {
		return nil, &ValueError{"head", errors.New("version 1 has the ownership in it: this cluster was not converted")}
	}
	h := new(Head)
	err := decode("head", headVersion, b, func(r *wire.Reader) {
		h.Owner, h.Epoch = id.Incarnation(r.Uvarint()), id.Epoch(r.Varint())
		h.LogStart, h.TieredEnd = r.Varint(), r.Varint()
		h.read(r)
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// decodeWholeHead reads a head of version 1.
func decodeWholeHead(b []byte) (*Head, error) {
	h := new(Head)
	err := decode("head", 1, b, func(r *wire.Reader) {
		h.Owner, h.Broker, h.Epoch = id.Incarnation(r.Uvarint()), id.Broker(r.Varint()), id.Epoch(r.Varint())
		h.LogStart, h.TieredEnd = r.Varint(), r.Varint()
		h.readChain(r)
		h.read(r)
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Head) read(r *wire.Reader) {
	for n := r.Count(2); n > 0; n-- {
		h.Epochs = append(h.Epochs, EpochStart{id.Epoch(r.Varint()), r.Varint()})
	}
	h.Manifest.Root = readPage(r)
	h.Manifest.Base, h.Manifest.End = r.Varint(), r.Varint()
	h.Manifest.Slices, h.Manifest.Bytes = r.Varint(), r.Varint()
	h.Slices = ReadSlices(r)
}

func appendPage(b []byte, p Page) []byte {
	b = binary.AppendUvarint(b, uint64(p.Object.Writer))
	b = binary.AppendUvarint(b, p.Object.Seq)
	return binary.AppendUvarint(b, uint64(p.Len))
}

func readPage(r *wire.Reader) Page {
	return Page{Object{id.Incarnation(r.Uvarint()), r.Uvarint()}, int32(r.Uvarint())}
}

// AppendSlices writes slices behind their count, the form that heads and
// manifest pages share: offsets and times as differences to the slice before.
func AppendSlices(b []byte, slices []Slice) []byte {
	b = binary.AppendUvarint(b, uint64(len(slices)))
	var end, at int64
	for _, s := range slices {
		b = binary.AppendUvarint(b, uint64(s.Object.Writer))
		b = binary.AppendUvarint(b, s.Object.Seq)
		b = binary.AppendVarint(b, s.Base-end)
		b = binary.AppendVarint(b, s.End-s.Base)
		b = binary.AppendVarint(b, s.MinTime-at)
		b = binary.AppendVarint(b, s.MaxTime-s.MinTime)
		b = binary.AppendVarint(b, int64(s.MinEpoch))
		b = binary.AppendVarint(b, int64(s.MaxEpoch-s.MinEpoch))
		b = binary.AppendVarint(b, s.Bytes)
		b = binary.AppendVarint(b, s.IndexAt)
		b = binary.AppendVarint(b, int64(s.IndexLen))
		end, at = s.End, s.MaxTime
	}
	return b
}

// ReadSlices reads what AppendSlices writes.
func ReadSlices(r *wire.Reader) []Slice {
	n := r.Count(11)
	if n == 0 {
		return nil
	}
	slices := make([]Slice, 0, n)
	var end, at int64
	for ; n > 0; n-- {
		s := Slice{Object: Object{id.Incarnation(r.Uvarint()), r.Uvarint()}}
		s.Base = end + r.Varint()
		s.End = s.Base + r.Varint()
		s.MinTime = at + r.Varint()
		s.MaxTime = s.MinTime + r.Varint()
		s.MinEpoch = id.Epoch(r.Varint())
		s.MaxEpoch = s.MinEpoch + id.Epoch(r.Varint())
		s.Bytes, s.IndexAt, s.IndexLen = r.Varint(), r.Varint(), int32(r.Varint())
		end, at = s.End, s.MaxTime
		slices = append(slices, s)
	}
	return slices
}

// Written reports whether a batch of an epoch in a journal of the writer is the
// partition's, as far as the chain knows.
func (o *Ownership) Written(writer id.Incarnation, epoch id.Epoch) bool {
	for _, l := range o.Chain {
		if l.Writer == writer && l.Epoch == epoch {
			return true
		}
	}
	return false
}

// Give makes an incarnation the owner, in a new epoch that begins where what is
// sealed ends. It is for the controller, which doesn't know where that is, unless nothing
// was written yet.
func (o *Ownership) Give(owner id.Incarnation, broker id.Broker) {
	if o.Owner != 0 {
		o.Epoch++
	}
	start := int64(StartUnknown)
	if len(o.Chain) == 0 {
		start = 0
	}
	o.Owner, o.Broker = owner, broker
	o.Chain = append(o.Chain, Link{Writer: owner, Epoch: o.Epoch, Start: start})
}

// Settle fills in where epochs began, by start for those that aren't known, and
// drops the links that the tier has all of. It is for the owner, which has seen
// everything that is sealed.
func (h *Head) Settle(start func(id.Epoch) int64) {
	for i := range h.Chain {
		l := &h.Chain[i]
		if l.Start == StartUnknown {
			l.Start = start(l.Epoch)
		}
		n := len(h.Epochs)
		if n > 0 && h.Epochs[n-1].Epoch >= l.Epoch {
			continue
		}
		if n > 0 && h.Epochs[n-1].Start == l.Start {
			h.Epochs = h.Epochs[:n-1] // an epoch that stored nothing leaves no trace
		}
		h.Epochs = append(h.Epochs, EpochStart{Epoch: l.Epoch, Start: l.Start})
	}
	if n := len(h.Epochs); n > MaxEpochStarts {
		h.Epochs = h.Epochs[n-MaxEpochStarts:]
	}
	h.Trim()
}

// Trim drops the links that the tier has all of.
func (h *Head) Trim() {
	n := 0
	for n+1 < len(h.Chain) && h.Chain[n+1].Start != StartUnknown && h.Chain[n+1].Start <= h.TieredEnd {
		n++
	}
	h.Chain = h.Chain[n:]
}
