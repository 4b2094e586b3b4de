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
func (w *Appender) recallFor(ctx context.Context, b kafka.Batch) error {
	w.mu.Lock()
	unsure := w.mu.producers.unsure(b)
	w.mu.Unlock()
	if !unsure {
		return nil
	}
	err := w.Recall(ctx)
	if err != nil && b.BaseSequence() == 0 {
		return nil
	}
	return err
}

// Recall reads what only the tier remembers of producers, if that wasn't done yet. A
// memory that is lost for good is done without: a producer may then store a batch
// twice that it sends again, but a partition that waited for ever would pin the
// journal that it shares, until no producer's records are taken any more.
func (w *Appender) Recall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recallPatience)
	defer cancel()
	for {
		w.mu.Lock()
		whole, head := w.mu.producers.whole, w.mu.log.head
		w.mu.Unlock()
		if whole {
			return nil
		}
		found, err := w.deps.Tier.Producers(ctx, head, w.id)
		if errors.Is(err, object.ErrGone) && w.mu.head() != head {
			continue // a newer slice took its place meanwhile
		}
		if err != nil && !lost(err) {
			return fmt.Errorf("read producers of %v from the tier: %w", w.id, err)
		}
		w.mu.Lock()
		first := !w.mu.producers.whole
		w.mu.producers.load(found)
		w.mu.producers.expire(w.mu.settings, w.deps.Clock)
		w.mu.Unlock()
		if err != nil && first {
			w.deps.forgot(w.id, err)
		}
		return nil
	}
}

// Producers lists the idempotent producers that are known, for DescribeProducers.
func (w *Appender) Producers() []object.Producer {
	w.mu.Lock()
	all, end := w.mu.producers.copy(), w.mu.log.next
	w.mu.Unlock()
	return snapshot(all, end)
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
