package sim

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// ledger is the checker: it holds each answer against all before.
//
// It keeps, for each partition, one value for each offset that was ever acknowledged
// or read (promises 1 and 3: another value there is a violation), and what each
// producer sent and got acknowledged (promise 2: in the log exactly once, in order).
type ledger struct {
	w       *world
	commits atomic.Int64

	mu      sync.Mutex
	by      map[int32]map[int64]string
	sentBy  map[string][]string // by producer: values by sequence
	ackedBy map[string]int      // how many of these are acknowledged
	order   []*producer
	acks    int
	reads   int
}

func newLedger(w *world) *ledger {
	return &ledger{w: w, by: map[int32]map[int64]string{}, sentBy: map[string][]string{}, ackedBy: map[string]int{}}
}

func (l *ledger) sent(p *producer, b *sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sentBy[p.String()] == nil {
		l.order = append(l.order, p)
	}
	l.sentBy[p.String()] = append(l.sentBy[p.String()], b.values...)
}

// heard reports whether anything of a producer was acknowledged.
func (l *ledger) heard(p *producer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ackedBy[p.String()] > 0
}

// acked: a batch was acknowledged at an offset, or, if that is negative, somewhere.
func (l *ledger) acked(p *producer, b *sent, base int64) {
	l.mu.Lock()
	l.ackedBy[p.String()] += len(b.values)
	l.acks += len(b.values)
	l.mu.Unlock()
	l.w.log.add("%v: %d records at sequence %d acknowledged at %d", p, len(b.values), b.seq, base)
	if base < 0 {
		return
	}
	for i, v := range b.values {
		l.note(p.String()+", acknowledged", p.partition, base+int64(i), v)
	}
}

func (l *ledger) read(who string, partition int32, offset int64, value string) {
	l.mu.Lock()
	l.reads++
	l.mu.Unlock()
	l.note(who, partition, offset, value)
}

func (l *ledger) note(who string, partition int32, offset int64, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.by[partition]
	if at == nil {
		at = map[int64]string{}
		l.by[partition] = at
	}
	was, seen := at[offset]
	at[offset] = value
	if seen && was != value {
		l.w.fail("promise 2: partition %d has two values at offset %d: %.20q, then %.20q (%s)", partition, offset, was, value, who)
	}
}

// end is the offset after all that was acknowledged or read of a partition.
func (l *ledger) end(partition int32) (end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for o := range l.by[partition] {
		end = max(end, o+1)
	}
	return end
}

// check looks at the whole of what was read last, when everything was.
func (l *ledger) check(partitions int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string][]int64{}
	for p := range partitions {
		at := l.by[p]
		for o := range int64(len(at)) {
			v, ok := at[o]
			if !ok {
				l.w.fail("promise 2: partition %d has no offset %d of %d", p, o, len(at))
				break
			}
			found[v] = append(found[v], o)
		}
	}
	for _, p := range l.order {
		last := int64(-1)
		for seq, v := range l.sentBy[p.String()] {
			at := found[v]
			delete(found, v)
			switch {
			case len(at) == 0 && seq < l.ackedBy[p.String()]:
				l.w.fail("promise 1: %v: the acknowledged record %d is lost", p, seq)
			case len(at) > 1:
				l.w.fail("promise 2: %v: record %d is there %d times, at %v", p, seq, len(at), at)
			case len(at) == 1 && at[0] <= last:
				l.w.fail("promise 2: %v: record %d is at %d, the one before at %d", p, seq, at[0], last)
			}
			if len(at) > 0 {
				last = slices.Max(at)
			}
		}
	}
	for v := range found {
		l.w.fail("promise 2: nobody sent %.30q", v)
	}
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d records acknowledged, %d reads, %d commits", l.acks, l.reads, l.commits.Load())
}
