package group

import (
	"context"
	"errors"

	"varve/internal/id"
)

// Committed is how far a group got in one partition.
type Committed struct {
	Topic     string
	ID        id.Topic // that it was committed for; zero: not known
	Partition int32
	Offset    int64
}

// Progress is how far a group got.
type Progress struct {
	Group     string
	Committed []Committed
}

// progress is what the group has committed, in little memory: it is kept of groups that
// are not loaded.
func (g *Group) progress() (all []Committed) {
	for _, topic := range g.Topics() {
		for _, index := range g.Partitions(topic) {
			if f := g.Offset(topic, index); f.Offset >= 0 {
				all = append(all, Committed{topic, f.topic, index, f.Offset})
			}
		}
	}
	return all
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
