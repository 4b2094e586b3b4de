package partition

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"varve/kafka"
	"varve/tiering/object"
)

// keepBatches is how many of a producer's last batches are remembered, as many
// as a client may have in flight (KIP-98).
const keepBatches = 5

// producers is the idempotence state of a partition: what was appended, also
// what is not committed yet.
type producers struct {
	by map[int64]*producer
	// whole: what the tier remembers was read, or there is none. Until then a
	// producer that is not in by may be in the newest slice's snapshot.
	whole bool
}

type producer struct {
	epoch   int16
	n       int8                              // of batches
	time    int64                             // when its newest batch was appended, ms
	batches [keepBatches]object.ProducerBatch // oldest first
}

// load adds what the tier remembers; what is known already is newer.
func (ps *producers) load(known []object.Producer) {
	ps.whole = true
	for _, k := range known {
		p := ps.get(k.ID)
		switch {
		case p.n == 0 && p.epoch < k.Epoch:
			p.epoch, p.time = k.Epoch, max(p.time, k.Timestamp)
			fallthrough
		case p.epoch == k.Epoch:
			p.older(k.Batches)
		}
	}
}

// older puts batches in front of those that are known.
func (p *producer) older(batches []object.ProducerBatch) {
	newer := p.batches
	known := newer[:p.n]
	p.n = 0
	for _, b := range batches {
		if len(known) == 0 || b.Base < known[0].Base {
			p.push(b)
		}
	}
	for _, b := range known {
		p.push(b)
	}
}

// unsure reports whether what the tier remembers may change the verdict of check on a batch.
func (ps *producers) unsure(b kafka.Batch) bool {
	if ps.whole {
		return false
	}
	p := ps.by[b.ProducerID()]
	if p == nil {
		return true
	}
	_, err := ps.check(b)
	return p.n < keepBatches && p.epoch == b.ProducerEpoch() && errors.Is(err, ErrOutOfOrder)
}

func (ps *producers) get(pid int64) *producer {
	p := ps.by[pid]
	if p == nil {
		if ps.by == nil {
			ps.by = map[int64]*producer{}
		}
		p = &producer{epoch: -1}
		ps.by[pid] = p
	}
	return p
}

func (p *producer) push(b object.ProducerBatch) {
	if int(p.n) == keepBatches {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	p.batches[p.n] = b
	p.n++
}

// check decides about a batch of an idempotent producer: a repetition of one of
// the last batches returns that one, anything that doesn't follow is an error.
func (ps *producers) check(b kafka.Batch) (repeated *object.ProducerBatch, err error) {
	p := ps.by[b.ProducerID()]
	if p == nil {
		return nil, nil // unknown or expired: any sequence begins anew (KIP-360)
	}
	epoch, first, last := b.ProducerEpoch(), b.BaseSequence(), b.LastSequence()
	if epoch < p.epoch {
		return nil, fmt.Errorf("producer %d has epoch %d, known is %d: %w", b.ProducerID(), epoch, p.epoch, ErrProducerFenced)
	}
	if epoch > p.epoch {
		if first != 0 && p.epoch >= 0 {
			return nil, fmt.Errorf("producer %d begins epoch %d with sequence %d: %w", b.ProducerID(), epoch, first, ErrOutOfOrder)
		}
		return nil, nil
	}
	for i := range p.batches[:p.n] {
		if k := &p.batches[i]; k.FirstSequence == first && k.LastSequence == last {
			return k, nil
		}
	}
	if p.n == 0 {
		return nil, nil
	}
	if want := kafka.AddSequence(p.batches[p.n-1].LastSequence, 1); first != want {
		return nil, fmt.Errorf("producer %d sends sequence %d, expected is %d: %w", b.ProducerID(), first, want, ErrOutOfOrder)
	}
	return nil, nil
}

// note records a batch that was appended. A negative producer id is none.
func (ps *producers) note(pid int64, epoch int16, seq, lastDelta int32, base, time int64) {
	if pid < 0 {
		return
	}
	p := ps.get(pid)
	if epoch != p.epoch {
		p.epoch, p.n = epoch, 0
	}
	p.time = time
	if seq >= 0 {
		p.push(object.ProducerBatch{FirstSequence: seq, LastSequence: kafka.AddSequence(seq, lastDelta), Base: base})
	}
}

// expire forgets producers that wrote nothing for longer than the settings allow.
func (ps *producers) expire(s *Settings, now Clock) {
	if s.ProducerExpiryMs <= 0 {
		return
	}
	before := now() - s.ProducerExpiryMs
	for pid, p := range ps.by {
		if p.time < before {
			delete(ps.by, pid)
		}
	}
}

// maxProducers is how many a partition remembers. Producers that are made anew for each
// task, and one that forges ids, would otherwise fill the memory until they expire.
const maxProducers = 1 << 14

// shed forgets the producers that were silent for longest, if there are too many, and
// returns how many. It takes an eighth at a time, so that it is rarely called for.
func (ps *producers) shed() int {
	if len(ps.by) <= maxProducers {
		return 0
	}
	oldest := slices.SortedFunc(maps.Keys(ps.by), func(a, b int64) int {
		return cmp.Or(cmp.Compare(ps.by[a].time, ps.by[b].time), cmp.Compare(a, b))
	})[:len(ps.by)-maxProducers*7/8]
	for _, pid := range oldest {
		delete(ps.by, pid)
	}
	return len(oldest)
}

// entry is one of a partition's producers.
type entry struct {
	id int64
	producer
}

// copy returns all of them, in any order. It is as much as is done of a snapshot while
// appends wait.
func (ps *producers) copy() []entry {
	all := make([]entry, 0, len(ps.by))
	for pid, p := range ps.by {
		all = append(all, entry{pid, *p})
	}
	return all
}

// snapshot returns what was known when end was the end of the log, in order of ids.
func snapshot(all []entry, end int64) []object.Producer {
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	out := make([]object.Producer, 0, len(all))
	for i := range all {
		p := &all[i]
		n := 0
		for n < int(p.n) && p.batches[n].Base < end {
			n++
		}
		if n > 0 || p.n == 0 {
			out = append(out, object.Producer{ID: p.id, Epoch: p.epoch, Timestamp: p.time, Batches: p.batches[:n:n]})
		}
	}
	return out
}
