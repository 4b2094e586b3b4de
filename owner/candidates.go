package owner

import (
	"context"
	"errors"
	"slices"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
)

// candidates reads the heads of partitions that the view names this agent the owner of. The
// ownerships are read from etcd again: the view may still show the time before this agent gave
// a partition away, and nothing would refuse what it appends to its own open journal.
func (o *Owner) candidates(ctx context.Context, fresh []fresh, known map[id.Journal]cluster.Journal) (all []*candidate) {
	writers := map[id.Incarnation]bool{}
	for j := range known {
		writers[j.Writer] = j.Writer != o.deps.Incarnation
	}
	for _, f := range fresh {
		heads, why := o.headsOf(ctx, f.topic.ID, f.indexes)
		for _, i := range f.indexes {
			at := id.Partition{Topic: f.topic.ID, Index: i}
			stored, read := heads[at]
			switch {
			case !read && why[i] != nil:
				o.deps.Unserved.Note(f.topic.Name, at, why[i])
			case !read || stored.Head.Owner != o.deps.Incarnation: // another agent owns it now
			case f.topic.deleted && isTiered(stored.Head, writers):
				o.deps.Set.skip(at)
			default:
				all = append(all, &candidate{topic: f.topic.Topic, head: stored.Head, p: partition.New(o.deps.Partition, stored, f.topic.settings)})
			}
		}
	}
	return all
}

// isTiered reports whether the tier has all of a partition whose topic was deleted before
// this agent began: no journal is left that its chain names. There is nothing to open
// it for.
func isTiered(head *schema.Head, writers map[id.Incarnation]bool) bool {
	return !slices.ContainsFunc(head.Chain, func(l schema.Link) bool { return writers[l.Writer] })
}

// listFrom is how many of a topic's heads are read one by one.
const listFrom = 4

// headsOf reads some of a topic's heads. why has, by index, what kept it from reading others;
// one that isn't there has no reason.
func (o *Owner) headsOf(ctx context.Context, t id.Topic, indexes []int32) (heads map[id.Partition]schema.StoredHead, why map[int32]error) {
	why = map[int32]error{}
	if len(indexes) < listFrom {
		heads = map[id.Partition]schema.StoredHead{}
		for _, i := range indexes {
			at := id.Partition{Topic: t, Index: i}
			stored, err := schema.GetHead(ctx, o.deps.Meta, at)
			if err == nil {
				heads[at] = stored
			} else if !errors.Is(err, metadata.ErrNotFound) {
				why[i] = err
			}
		}
		return heads, why
	}
	heads, err := schema.ListHeads(ctx, o.deps.Meta, &t, func(key string, err error) {
		for _, parse := range []func(string) (id.Partition, error){schema.ParseOwnerKey, schema.ParseHeadKey} {
			if p, bad := parse(key); bad == nil {
				why[p.Index] = err
			}
		}
	})
	if err != nil {
		for _, i := range indexes {
			why[i] = err
		}
	}
	return heads, why
}
