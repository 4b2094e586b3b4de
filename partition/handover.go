package partition

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/metadata/schema"
)

// errPaused: appends wait for Resume, or for the partition's end.
var errPaused = errors.New("partition is paused")

// Pause makes appends wait, so that the log's end stands still while the partition
// changes its owner. Reads go on.
func (p *Partition) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.gate.pause()
}

// Resume lets appends go on after a Pause.
func (p *Partition) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.gate.resume()
}

// Quiet returns when everything that was appended is committed; the partition should
// be paused.
func (p *Partition) Quiet(ctx context.Context) error {
	p.mu.Lock()
	quiet := p.mu.gate.awaitQuiet()
	p.mu.gate.settle(p.mu.log.quiet())
	p.mu.Unlock()
	select {
	case <-quiet:
	case <-ctx.Done():
		return ctx.Err()
	}
	return p.CheckEpoch(id.NoEpoch)
}

// HandOver makes another incarnation the owner, in one guarded write, and ends the
// partition here. It must be paused, quiet, and wholly in the tier.
func (p *Partition) HandOver(ctx context.Context, to id.Incarnation, broker id.Broker) error {
	err := p.UpdateHead(ctx, func(h *schema.Head) error {
		p.mu.Lock()
		end, paused := p.mu.log.next, p.mu.gate.paused != nil
		p.mu.Unlock()
		if !paused || h.TieredEnd != end {
			return fmt.Errorf("hand over %v: the log ends at %d, the tier at %d", p.id, end, h.TieredEnd)
		}
		h.Give(to, broker)
		h.Settle(func(id.Epoch) int64 { return end })
		return nil
	})
	if err == nil {
		p.Close()
	}
	return err
}
