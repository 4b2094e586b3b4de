package partition

import (
	"fmt"
	"sort"

	"varve/internal/id"
	"varve/wal"
)

// ref is where a batch is in a journal.
type ref struct {
	base    int64
	pos     wal.Pos
	maxTime int64
	spans   uint32 // how many offsets, and hintBit
	size    int32
	epoch   id.Epoch
	link    uint32 // number of the journal in the tail's row
}

// hintBit, in spans, is set if maxTime is only a producer's word.
const hintBit = 1 << 31

// refOf describes the batch of a journal's record.
func refOf(rec *wal.Record, pos wal.Pos) ref {
	r := ref{base: rec.Base, spans: uint32(rec.LastDelta) + 1, size: int32(rec.Size), epoch: rec.Epoch, pos: pos, maxTime: rec.MaxTime}
	if !rec.TimeKnown {
		r.spans |= hintBit
	}
	return r
}

func (r *ref) end() int64 { return r.base + int64(r.spans&^hintBit) }

// know notes the largest timestamp of the batch's records.
func (r *ref) know(newest int64) { r.maxTime, r.spans = newest, r.spans&^hintBit }

// timeKnown reports whether maxTime is that of the batch's records.
func (r *ref) timeKnown() bool { return r.spans&hintBit == 0 }

// tail is the index of the batches that are in journals, in order of offsets.
// The oldest of them may be in the tier too; their journal files may be gone.
type tail struct {
	refs     []ref
	bytes    int64        // of refs
	journals []id.Journal // that refs name, in a row
	first    uint32       // number of the first of them
}

func (t *tail) push(j id.Journal, r ref) {
	if n := len(t.journals); n == 0 || t.journals[n-1] != j {
		t.journals = append(t.journals, j)
	}
	r.link = t.first + uint32(len(t.journals)) - 1
	t.refs = append(t.refs, r)
	t.bytes += int64(r.size)
}

// find is the index of the ref that holds offset, or of the first after it.
func (t *tail) find(offset int64) int {
	return sort.Search(len(t.refs), func(i int) bool { return t.refs[i].end() > offset })
}

// at returns the journal of the batch that holds offset, if the index has it.
func (t *tail) at(offset int64) (j id.Journal, ok bool) {
	i := t.find(offset)
	if i == len(t.refs) || t.refs[i].base > offset {
		return j, false
	}
	return t.journal(&t.refs[i]), true
}

func (t *tail) journal(r *ref) id.Journal { return t.journals[r.link-t.first] }

// sizes returns the size of the batches that begin below end, from the one that holds from on.
func (t *tail) sizes(from, end int64) (n int64) {
	for i := t.find(from); i < len(t.refs) && t.refs[i].base < end; i++ {
		n += int64(t.refs[i].size)
	}
	return n
}

// needs tells, for each journal that holds something from offset on, the first
// place of it.
func (t *tail) needs(offset int64, each func(id.Journal, wal.Pos)) {
	for i := t.find(offset); i < len(t.refs); {
		link := t.refs[i].link
		if j := t.journal(&t.refs[i]); j != nowhere {
			each(j, t.refs[i].pos)
		}
		rest := t.refs[i:]
		i += sort.Search(len(rest), func(k int) bool { return rest[k].link != link })
	}
}

// drop forgets the refs below offset for which gone reports that they are no longer to be read.
func (t *tail) drop(offset int64, gone func(id.Journal, wal.Pos) bool) {
	n := 0
	for n < len(t.refs) && t.refs[n].end() <= offset && gone(t.journal(&t.refs[n]), t.refs[n].pos) {
		t.bytes -= int64(t.refs[n].size)
		n++
	}
	if n == 0 {
		return
	}
	t.refs = t.refs[n:]
	named := t.first + uint32(len(t.journals))
	if len(t.refs) > 0 {
		named = t.refs[0].link
	}
	t.journals, t.first = t.journals[named-t.first:], named
	if cap(t.refs) > 4*len(t.refs)+64 {
		t.refs = append(make([]ref, 0, 2*len(t.refs)), t.refs...)
	}
}

func errGap(p id.Partition, want, got int64) error {
	return fmt.Errorf("partition %v: journal continues at offset %d, the log ends at %d", p, got, want)
}
