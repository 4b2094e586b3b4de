package owner

import (
	"context"
	"errors"
	"slices"
	"time"

	"varve/internal/backoff"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
)

// retireDeleted begins to retire the partitions whose topics were deleted.
func (o *Owner) retireDeleted(ctx context.Context) {
	var over []*partition.Partition
	for _, p := range o.deps.Set.All() {
		if _, ok := o.deps.View.TopicByID(p.ID().Topic); !ok && o.deps.Set.retire(p) {
			over = append(over, p)
		}
	}
	o.retire(ctx, over)
}

// retire ends partitions whose topics were deleted, and which are marked so, once all
// of each is in the tier, so that the topic can be brought back whole. A topic
// that is undeleted meanwhile stays open.
func (o *Owner) retire(ctx context.Context, all []*partition.Partition) {
	if len(all) == 0 {
		return
	}
	o.deps.Go(func() {
		for len(all) > 0 {
			round, cancel := context.WithTimeout(ctx, retireRound)
			err := o.deps.Flush(round, ids(all)...)
			cancel()
			all = slices.DeleteFunc(all, func(p *partition.Partition) bool { return o.retired(ctx, p) })
			if errors.Is(err, context.Canceled) {
				break // this agent stops
			}
			if len(all) > 0 {
				_ = backoff.Sleep(ctx, 100*time.Millisecond) // the loop looks at ctx
			}
		}
		o.deps.View.Touch()
	})
}

// retireRound bounds one try to upload what is left of all that retire together: one
// that can't be uploaded keeps no other.
const retireRound = 10 * time.Second

// retired ends a partition if that is possible now; false: it is to be tried again.
func (o *Owner) retired(ctx context.Context, p *partition.Partition) bool {
	if _, back := o.deps.View.TopicByID(p.ID().Topic); back {
		o.deps.Set.keep(p)
		return true
	}
	if o.deps.Set.Get(p.ID()) != p {
		return true // it has another owner
	}
	if !p.Retire() && !o.purged(ctx, p.ID().Topic) {
		return false
	}
	o.deps.Set.retired(p)
	p.Close()
	return true
}

// purged reports whether nothing is left of a deleted topic in etcd: the time in which it
// could be brought back is over, and what was not uploaded of it is not needed.
func (o *Owner) purged(ctx context.Context, t id.Topic) bool {
	if _, ok := o.deps.View.Deleted()[t]; ok {
		return false
	}
	before := o.deps.Seen.Newest()
	owners, rev, err := o.deps.Meta.List(ctx, schema.TopicOwners(t))
	if err != nil || len(owners) > 0 {
		return false
	}
	return o.deps.Seen.Confirm(before, rev, o.deps.Log, o.deps.Fatal) == nil
}
