package controller

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// dropMoves takes away the wishes for moves that came true, and those that can't: the
// agent that was to get the partition is gone, or the partition is.
func (c *Controller) dropMoves(ctx context.Context, p *picture) {
	var over []id.Partition
	for at, m := range p.moves {
		t, exists := c.deps.View.TopicByID(at.Topic)
		o := p.owners[at]
		_, err := c.deps.View.Taker(m.To)
		switch {
		case !exists || at.Index >= t.Partitions, err != nil:
			over = append(over, at)
		case o.Broker == m.To && p.alive(o.Incarnation, o.Broker):
			over = append(over, at)
		}
	}
	if len(over) == 0 {
		return
	}
	c.background("moves", func() {
		var writes errgroup.Group // none of them fails the others
		writes.SetLimit(writesAtOnce)
		for _, at := range over {
			writes.Go(func() error {
				key := schema.MoveKey(at)
				_, err := c.deps.Writer.Write(ctx, []metadata.Guard{{Key: key, Mod: p.moves[at].Mod}}, metadata.Delete(key))
				if err != nil && ctx.Err() == nil && !errors.Is(err, metadata.ErrConflict) {
					c.log.Warn("move not removed yet", "partition", at, "err", err)
				}
				return nil
			})
		}
		_ = writes.Wait()
	})
}
