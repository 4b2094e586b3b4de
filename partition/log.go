package partition

import (
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/object"
)

// log is where a partition's log begins and ends, and where its batches are: the index of
// the journals, and the head, which names what is in the tier. The partition's lock guards it.
type log struct {
	closed error // why nothing is done any more; nil while owned
	epoch  id.Epoch
	start  int64 // first offset that can be read
	high   int64 // high watermark: everything below is committed
	next   int64 // offset of the next append
	tail   tail
	head   *schema.Head      // as last committed; never changed in place
	stored schema.StoredHead // what the metadata store has of it
}

// checkEpoch is Partition.CheckEpoch.
func (l *log) checkEpoch(e id.Epoch) error {
	switch {
	case l.closed != nil:
		return l.closed
	case e == id.NoEpoch || e == l.epoch:
		return nil
	case e < l.epoch:
		return ErrFencedEpoch
	}
	return ErrUnknownEpoch
}

// quiet reports whether nothing is on its way: all is committed, or never will be.
func (l *log) quiet() bool { return l.high == l.next || l.closed != nil }

// settle notes in the head where each leader epoch began.
func (l *log) settle() {
	head := cloneHead(l.head)
	head.Settle(func(e id.Epoch) int64 {
		for _, r := range l.tail.refs {
			if r.epoch >= e {
				return r.base
			}
		}
		return l.next
	})
	l.head = head
}

// state is Partition.State.
func (l *log) state() State {
	return State{
		Epoch: l.epoch, LogStart: l.start, LocalStart: l.localStart(), TieredEnd: l.head.TieredEnd,
		LastStable: l.lastStable(), High: l.high, End: l.next,
	}
}

// lastStable returns the last stable offset. No batch of a transaction is accepted
// (ErrTransactional), so whatever is committed is stable.
func (l *log) lastStable() int64 { return l.high }

// localStart returns the first offset that is in a local journal.
func (l *log) localStart() int64 {
	if len(l.tail.refs) == 0 {
		return l.high
	}
	return max(l.start, l.tail.refs[0].base)
}

// available is Partition.Available.
func (l *log) available(r *Reading) (bytes int64, now bool) {
	s := l.state()
	if l.checkEpoch(r.Epoch) != nil || r.Offset < s.LogStart || r.Offset > s.High {
		return 0, true
	}
	end := s.Readable(r.Stable)
	if r.Offset >= end {
		return 0, false
	}
	refs := l.tail.refs[l.tail.find(r.Offset):]
	if len(refs) == 0 || refs[0].base > r.Offset {
		return 0, true
	}
	for i := range refs {
		if refs[i].base >= end {
			break
		}
		if bytes += int64(refs[i].size); bytes >= int64(r.Limit) {
			break
		}
	}
	return bytes, false
}

// plan lists the batches from the one that holds the offset on, within the limit, and
// their size together; at least one if one is wanted in any case. at is InTier if the offset
// is below what the index has. s becomes the state.
func (l *log) plan(r *Reading, s *State) (batches []located, size int, at Place, err error) {
	*s = l.state()
	if err := l.checkEpoch(r.Epoch); err != nil {
		return nil, 0, Near, err
	}
	if r.Offset < s.LogStart || r.Offset > s.High {
		return nil, 0, Near, ErrOutOfRange
	}
	i := l.tail.find(r.Offset)
	if r.Offset < s.TieredEnd && (i == len(l.tail.refs) || l.tail.refs[i].base > r.Offset) {
		return nil, 0, InTier, nil
	}
	refs, end, n := l.tail.refs[i:], s.Readable(r.Stable), 0
	for n < len(refs) && n < planned && refs[n].base < end && (size+int(refs[n].size) <= r.Limit || r.Always && n == 0) {
		size += int(refs[n].size)
		n++
	}
	batches = make([]located, n)
	for k := range batches {
		batches[k] = located{refs[k], l.tail.journal(&refs[k])}
	}
	return batches, size, Near, nil
}

// pending lists the batches that are not in the tier, from the one that holds an offset on,
// at most about limit bytes.
func (l *log) pending(from, limit int64) (batches []object.Batch) {
	var size int64
	for i := l.tail.find(max(from, l.head.TieredEnd)); i < len(l.tail.refs); i++ {
		r := &l.tail.refs[i]
		if size += int64(r.size); size > limit && len(batches) > 0 {
			break
		}
		batches = append(batches, object.Batch{Base: r.base, End: r.end(), Size: r.size, MaxTime: r.maxTime, TimeKnown: r.timeKnown(), Epoch: r.epoch,
			Location: object.Location{Journal: l.tail.journal(r), Pos: uint64(r.pos)}})
	}
	return batches
}

// epochAt is Partition.EpochAt.
func (l *log) epochAt(offset int64) id.Epoch {
	starts := l.head.Epochs
	for i := len(starts) - 1; i >= 0; i-- {
		if starts[i].Start <= offset {
			return starts[i].Epoch
		}
	}
	if len(starts) == 0 {
		return l.epoch
	}
	return id.NoEpoch
}

// epochEnd is Partition.EpochEnd for epochs that the head remembers. It is not known if e is
// older than all of them.
func (l *log) epochEnd(e id.Epoch) (found id.Epoch, end int64, known bool) {
	starts := l.head.Epochs
	if e == l.epoch {
		return e, l.high, true
	}
	if e > l.epoch || len(starts) == 0 {
		return id.NoEpoch, -1, true
	}
	for i := len(starts) - 1; i >= 0; i-- {
		if starts[i].Epoch <= e {
			end := l.high
			if i+1 < len(starts) {
				end = starts[i+1].Start
			}
			return starts[i].Epoch, end, true
		}
	}
	return id.NoEpoch, -1, false
}
