package group

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"varve/coordinator"
	"varve/group/offsets"
	"varve/internal/id"
)

// Fetch reads offsets: those asked for, or all that there are if topics is nil.
// With settled it waits for commits that are being stored. A group that does
// not exist has no offsets, nor has a topic those of an earlier one of its name, once this
// agent has heard of the new one.
//
// A coordinator may have been replaced without knowing. It must not make a consumer start
// over, or give an old offset to a reader that asked for settled ones. So it answers "no
// offset", and settled offsets, only after the slot's ownership was confirmed. Java's clients and
// librdkafka's by default ask for settled offsets. Others may get an old offset of a coordinator that
// is cut off from the metadata store and was replaced, as from a broker of Kafka's that hasn't heard of
// it: they read some records again. Confirming for them, too, would keep them from reading offsets
// while the store is away.
func (g *Groups) Fetch(ctx context.Context, group string, topics []offsets.TopicPartitions, settled bool) ([]offsets.FetchedTopic, error) {
	ctx, cancel := g.driver.Patient(ctx)
	defer cancel()
	found, err := g.fetch(ctx, group, topics, settled)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", coordinator.ErrAway, err)
	}
	return found, err
}

func (g *Groups) fetch(ctx context.Context, group string, topics []offsets.TopicPartitions, settled bool) ([]offsets.FetchedTopic, error) {
	if settled {
		r, err := coordinator.Ask[SettleReply](ctx, g.driver, group, func(t coordinator.Ticket) coordinator.Event { return Settle{t} })
		if err = cmp.Or(err, r.Err); err != nil {
			return nil, err
		}
	}
	found, confirm, err := coordinator.Look(ctx, g.driver, group, func(g *Group) []offsets.FetchedTopic { return g.fetch(topics) })
	if err != nil {
		return nil, err
	}
	if found, err = g.current(ctx, found, topics == nil); err != nil {
		return nil, err
	}
	if settled || topics == nil || lacks(found) {
		if err := confirm(ctx); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// current takes away what was committed for topics that were deleted; all of it if
// these partitions weren't asked for.
func (g *Groups) current(ctx context.Context, topics []offsets.FetchedTopic, entirely bool) ([]offsets.FetchedTopic, error) {
	for i := range topics {
		t := &topics[i]
		known := map[id.Topic]bool{{}: true} // committed before topics were noted
		for j := range t.Partitions {
			p := &t.Partitions[j]
			is, seen := known[p.ID]
			if !seen {
				var err error
				if is, err = g.topics.IsTopic(ctx, t.Topic, p.ID); err != nil {
					return nil, err
				}
				known[p.ID] = is
			}
			if !is {
				*p = offsets.None(p.Partition)
			}
		}
		if entirely {
			t.Partitions = slices.DeleteFunc(t.Partitions, func(p offsets.Fetched) bool { return p.Offset < 0 })
		}
	}
	if entirely {
		topics = slices.DeleteFunc(topics, func(t offsets.FetchedTopic) bool { return len(t.Partitions) == 0 })
	}
	return topics, nil
}

// lacks reports whether a partition has no offset.
func lacks(topics []offsets.FetchedTopic) bool {
	return slices.ContainsFunc(topics, func(t offsets.FetchedTopic) bool {
		return slices.ContainsFunc(t.Partitions, func(p offsets.Fetched) bool { return p.Offset < 0 })
	})
}
