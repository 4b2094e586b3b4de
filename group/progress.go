package group

import (
	"context"
	"errors"

	"varve/group/offsets"
)

// Progress is how far a group got.
type Progress struct {
	Group     string
	Committed []offsets.Committed
}

// Progress returns how far the groups of this agent got, without reading anything: as it was
// stored last. It proves nothing of who coordinates them.
func (c *Coordinator) Progress(ctx context.Context) (all []Progress, err error) {
	for _, s := range c.owned() {
		part := make(chan []Progress, 1)
		err := s.send(ctx, func() { part <- s.progress() })
		if errors.Is(err, ErrNotCoordinator) {
			continue // given up meanwhile
		}
		if err != nil {
			return nil, err
		}
		select {
		case p := <-part:
			all = append(all, p...)
		case <-s.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}

func (s *slot) progress() (all []Progress) {
	for name, e := range s.entries {
		p := Progress{name, e.progress}
		if e.g != nil {
			p.Committed = e.g.progress()
		}
		if len(p.Committed) > 0 {
			all = append(all, p)
		}
	}
	return all
}
