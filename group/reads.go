package group

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"varve/group/offsets"
	"varve/internal/id"
	"varve/metadata"
)

// Fetch reads offsets: those asked for, or all that there are if topics is nil.
// With settled it waits for commits that are being stored. A group that does
// not exist has no offsets, nor has a topic those of an earlier one of its name.
//
// A coordinator that was replaced and doesn't know it must not let a consumer begin
// anew, nor a settled reader at an offset that has been passed: "no offset", and what
// is settled, are answered only when the slot is confirmed to be still ours.
func (c *Coordinator) Fetch(ctx context.Context, group string, topics []offsets.TopicPartitions, settled bool) ([]offsets.FetchedTopic, error) {
	ctx, cancel := c.patient(ctx)
	defer cancel()
	found, err := c.fetch(ctx, group, topics, settled)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", ErrAway, err)
	}
	return found, err
}

func (c *Coordinator) fetch(ctx context.Context, group string, topics []offsets.TopicPartitions, settled bool) ([]offsets.FetchedTopic, error) {
	if settled {
		r, err := ask[SettleReply](ctx, c, group, func(t Ticket) Event { return Settle{t} })
		if err = cmp.Or(err, r.Err); err != nil {
			return nil, err
		}
	}
	var from *slot
	var found []offsets.FetchedTopic
	err := c.run(ctx, group, func(s *slot, e *entry) { from, found = s, e.g.fetch(topics) })
	if err != nil {
		return nil, err
	}
	if found, err = c.current(ctx, found, topics == nil); err != nil {
		return nil, err
	}
	if settled || topics == nil || lacks(found) {
		if err := from.confirm(ctx); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// current takes away what was committed for topics that were deleted; all of it if
// nobody asked for these partitions.
func (c *Coordinator) current(ctx context.Context, topics []offsets.FetchedTopic, entirely bool) ([]offsets.FetchedTopic, error) {
	for i := range topics {
		t := &topics[i]
		known := map[id.Topic]bool{{}: true} // committed before topics were noted
		for j := range t.Partitions {
			p := &t.Partitions[j]
			is, seen := known[p.ID]
			if !seen {
				var err error
				if is, err = c.topics.IsTopic(ctx, t.Topic, p.ID); err != nil {
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

// lacks says whether a partition has no offset.
func lacks(topics []offsets.FetchedTopic) bool {
	return slices.ContainsFunc(topics, func(t offsets.FetchedTopic) bool {
		return slices.ContainsFunc(t.Partitions, func(p offsets.Fetched) bool { return p.Offset < 0 })
	})
}

// look reads something of a group.
func look[R any](ctx context.Context, c *Coordinator, group string, read func(*Group) R) (r R, err error) {
	seen := make(chan R, 1)
	if err := c.run(ctx, group, func(_ *slot, e *entry) { seen <- read(e.g) }); err != nil {
		return r, err
	}
	return <-seen, nil
}

// Describe shows a group; one that does not exist is Dead.
func (c *Coordinator) Describe(ctx context.Context, group string) (Description, error) {
	return look(ctx, c, group, (*Group).Describe)
}

// List shows all groups that this agent coordinates, by name.
func (c *Coordinator) List(ctx context.Context) ([]Listing, error) {
	var all []Listing
	for _, s := range c.owned() {
		part := make(chan []Listing, 1)
		err := s.send(ctx, func() { part <- s.list() })
		if errors.Is(err, ErrNotCoordinator) {
			continue // given up meanwhile
		}
		if err != nil {
			return nil, err
		}
		select {
		case l := <-part:
			all = append(all, l...)
		case <-s.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	slices.SortFunc(all, func(a, b Listing) int { return cmp.Compare(a.Group, b.Group) })
	return all, nil
}

// TopicsDeleted forgets what the groups of this agent committed for topics that are
// gone, given with their names. Nobody is shown it any more anyhow.
func (c *Coordinator) TopicsDeleted(ctx context.Context, gone map[id.Topic]string) error {
	kvs, _, err := c.reader.List(ctx, metadata.PrefixOffsets)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, name := range gone {
		names[name] = true
	}
	groups := map[string]bool{}
	for _, kv := range kvs {
		group, topic, _, err := metadata.ParseOffsetsKey(kv.Key)
		if err != nil || !names[topic] || groups[group] {
			continue
		}
		if _, err := c.slot(group); err != nil {
			continue // another agent's
		}
		value, err := metadata.DecodeOffsets(kv.Value)
		for _, o := range value {
			groups[group] = groups[group] || err == nil && gone[o.Topic] == topic
		}
	}
	for group, has := range groups {
		if !has {
			continue
		}
		err := c.run(ctx, group, func(s *slot, e *entry) { s.step(e, TopicsDeleted{gone}) })
		if err != nil && !errors.Is(err, ErrNotCoordinator) {
			return err
		}
	}
	return nil
}
