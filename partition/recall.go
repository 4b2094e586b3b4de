package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/tiering/object"
)

// recallPatience bounds the one read of the tier that an append or an upload may
// wait for.
const recallPatience = 5 * time.Second

// recallFor reads the tier's memory of producers, once, when a batch shows up that
// what the journals know doesn't explain. A start reads none of it; and while the
// bucket is away, a producer that just begins is believed to be new.
func (p *Partition) recallFor(ctx context.Context, b kafka.Batch) error {
	p.mu.Lock()
	unsure := p.mu.producers.unsure(b)
	p.mu.Unlock()
	if !unsure {
		return nil
	}
	err := p.Recall(ctx)
	if err != nil && b.BaseSequence() == 0 {
		return nil
	}
	return err
}

// Recall reads what only the tier remembers of producers, if that wasn't done yet. A
// memory that is lost for good is done without: a producer may then store a batch
// twice that it sends again, but a partition that waited for ever would pin the
// journal that it shares, until no producer's records are taken any more.
func (p *Partition) Recall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recallPatience)
	defer cancel()
	for {
		p.mu.Lock()
		whole, head := p.mu.producers.whole, p.mu.log.head
		p.mu.Unlock()
		if whole {
			return nil
		}
		found, err := p.deps.Tier.Producers(ctx, head, p.id)
		if errors.Is(err, object.ErrGone) && p.Head() != head {
			continue // a newer slice took its place meanwhile
		}
		if err != nil && !lost(err) {
			return fmt.Errorf("read producers of %v from the tier: %w", p.id, err)
		}
		p.mu.Lock()
		first := !p.mu.producers.whole
		p.mu.producers.load(found)
		p.mu.producers.expire(p.mu.settings, p.deps.Clock)
		p.mu.Unlock()
		if err != nil && first {
			p.deps.forgot(p.id, err)
		}
		return nil
	}
}

// lost reports whether an error of the tier will not go away by asking again.
func lost(err error) bool {
	var corrupt *object.CorruptError
	return errors.Is(err, object.ErrGone) || errors.As(err, &corrupt) && !errors.Is(err, object.ErrVersion)
}

// forgot tells that the memory of producers is lost.
func (d *Deps) forgot(p id.Partition, err error) {
	if m := d.Metrics; m != nil {
		m.forgotten.Inc()
	}
	if log := d.Log; log != nil {
		log.Error("producer state in the tier is lost; a batch that a producer repeats may be stored twice", "partition", p, "err", err)
	}
}
