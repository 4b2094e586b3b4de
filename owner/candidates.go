package owner

import (
	"context"
	"slices"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
)

// candidates reads the heads of partitions that this agent was given.
func (o *Owner) candidates(ctx context.Context, fresh []fresh, known map[id.Journal]cluster.Journal) (all []*candidate) {
	writers := map[id.Incarnation]bool{}
	for j := range known {
		writers[j.Writer] = j.Writer != o.deps.Incarnation
	}
	for _, f := range fresh {
		heads, err := o.headsOf(ctx, f.topic.ID, f.indexes)
		for _, i := range f.indexes {
			at := id.Partition{Topic: f.topic.ID, Index: i}
			if f.topic.deleted && isTiered(heads[i], writers) {
				o.deps.Set.skip(at)
				continue
			}
			if c, why := o.candidate(f.topic, at, heads[i], err); why != nil {
				o.deps.Unserved.Note(f.topic.Name, at, why)
			} else if c != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// isTiered reports whether the tier has all of a partition whose topic was deleted before
// this agent began: no journal is left that its chain names. There is nothing to open
// it for.
func isTiered(kv metadata.KV, writers map[id.Incarnation]bool) bool {
	if kv.Mod == 0 {
		return false
	}
	head, err := metadata.DecodeHead(kv.Value)
	return err == nil && !slices.ContainsFunc(head.Chain, func(l metadata.Link) bool { return writers[l.Writer] })
}

// listFrom is how many of a topic's heads are read one by one.
const listFrom = 4

// headsOf reads some of a topic's heads.
func (o *Owner) headsOf(ctx context.Context, t id.Topic, indexes []int32) (map[int32]metadata.KV, error) {
	heads := make(map[int32]metadata.KV, len(indexes))
	if len(indexes) < listFrom {
		for _, i := range indexes {
			kv, err := o.deps.Meta.Get(ctx, metadata.HeadKey(id.Partition{Topic: t, Index: i}))
			if err != nil {
				return heads, err
			}
			heads[i] = kv
		}
		return heads, nil
	}
	kvs, _, err := o.deps.Meta.List(ctx, metadata.TopicHeads(t))
	for _, kv := range kvs {
		if p, err := metadata.ParseHeadKey(kv.Key); err == nil {
			heads[p.Index] = kv
		}
	}
	return heads, err
}

// candidate makes a partition out of its head; nil if another agent owns it now.
func (o *Owner) candidate(t *topic, at id.Partition, kv metadata.KV, err error) (*candidate, error) {
	if kv.Mod == 0 {
		return nil, err
	}
	head, err := metadata.DecodeHead(kv.Value)
	if err != nil || head.Owner != o.deps.Incarnation {
		return nil, err
	}
	return &candidate{topic: t.Topic, head: head, p: partition.New(at, o.deps.Partition, head, kv.Mod, t.settings)}, nil
}
