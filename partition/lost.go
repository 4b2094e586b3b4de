package partition

import (
	"fmt"
	"math"

	"varve/internal/id"
	"varve/kafka"
	"varve/wal"
)

// nowhere is the journal of batches that are in none: they stand for lost offsets, and
// are made when they are read. No incarnation gets that far; zero would be what
// was never filled in.
var nowhere = id.Journal{Writer: math.MaxUint64}

// mostLost bounds how many offsets count as lost at once: more is damage.
const mostLost = 1 << 48

// Lost takes the offsets from the log's end to before next as given, in an epoch, and
// lost: an operator accepted that. They are never given again. In their place stand
// batches without records, which readers pass over, and which the tier gets. It is for
// the time between New and Serve, in order with Adopt.
func (p *Partition) Lost(next int64, epoch id.Epoch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.mu.log.tail.refs); next <= p.mu.log.next || next-p.mu.log.next > mostLost || n > 0 && p.mu.log.tail.refs[n-1].epoch > epoch {
		return fmt.Errorf("partition %v: offsets %d to %d can't have been lost in epoch %v", p.id, p.mu.log.next, next, epoch)
	}
	if p.deps.Metrics != nil {
		p.deps.Metrics.lost.Add(float64(next - p.mu.log.next))
	}
	for p.mu.log.next < next {
		count := min(next-p.mu.log.next, math.MaxInt32)
		p.mu.log.tail.push(nowhere, ref{base: p.mu.log.next, spans: uint32(count), size: kafka.BatchHeaderBytes, epoch: epoch, maxTime: -1})
		p.mu.backlog.add(kafka.BatchHeaderBytes, p.deps.Clock)
		p.mu.log.next += count
	}
	p.mu.log.high = p.mu.log.next
	return nil
}

// readAt fills buf with a batch.
func readAt(local Local, buf []byte, j id.Journal, pos wal.Pos, base, end int64, epoch id.Epoch) error {
	if j == nowhere {
		copy(buf, kafka.Empty(base, end, int32(epoch)))
		return nil
	}
	return local.ReadAt(j, buf, pos)
}
