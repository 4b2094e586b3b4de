package owner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"varve/internal/backoff"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
)

// open serves partitions of which no tail is to be adopted, and begins to adopt those of
// the others.
func (o *Owner) open(ctx context.Context, fresh []*candidate, live []id.Incarnation) {
	if len(fresh) == 0 {
		return
	}
	journals, err := o.journalsNow(ctx)
	if err == nil {
		findTails(fresh, journals, o.deps.Mine())
	}
	lost := losses(journals)
	var ready, behind []*candidate
	for _, c := range fresh {
		switch {
		case err != nil || c.why != nil:
			o.deps.Unserved.Note(c.topic.Name, c.p.ID(), cmp.Or(c.why, err))
		case len(c.tails) > 0:
			behind = append(behind, c)
		default:
			o.adopt(c, nil, lost)
			ready = append(ready, c)
		}
	}
	o.serveAll(ctx, ready)
	if len(behind) > 0 {
		o.beginAdopting(ctx, behind, live, lost)
	}
}

// serveAll begins to serve partitions of which all is adopted.
func (o *Owner) serveAll(ctx context.Context, ready []*candidate) {
	if len(ready) == 0 {
		return
	}
	var unsettled []*partition.Partition
	for _, c := range ready {
		c.p.Serve()
		o.deps.Set.Put(c.p)
		o.deps.Unserved.forget(c.p.ID())
		if len(c.head.Chain) > 1 || c.head.Chain[0].Start == schema.StartUnknown {
			unsettled = append(unsettled, c.p)
		}
	}
	o.deps.Log.Info("partitions opened", "count", len(ready), "partitions", namesOf(ready))
	o.settle(ctx, unsettled)
}

// namesLogged bounds the partitions that one line of the log names.
const namesLogged = 50

// namesOf lists partitions for the log: by topic, with the indexes.
func namesOf(all []*candidate) string {
	by := map[string][]int{}
	for _, c := range all[:min(len(all), namesLogged)] {
		by[c.topic.Name] = append(by[c.topic.Name], int(c.p.ID().Index))
	}
	var names []string
	for _, topic := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[topic])
		names = append(names, topic+"/"+strings.Trim(strings.ReplaceAll(fmt.Sprint(by[topic]), " ", ","), "[]"))
	}
	if len(all) > namesLogged {
		names = append(names, fmt.Sprintf("and %d more", len(all)-namesLogged))
	}
	return strings.Join(names, " ")
}

// settle stores in the background where the epochs of adopted partitions began, so
// that etcd can forget journals even of partitions that are not written to any more.
func (o *Owner) settle(ctx context.Context, all []*partition.Partition) {
	if len(all) == 0 {
		return
	}
	o.deps.Go(func() {
		for _, p := range all {
			for ctx.Err() == nil {
				err := p.UpdateHead(ctx, func(*schema.Head) error { return nil })
				if err == nil || errors.Is(err, partition.ErrNotOwner) {
					break
				}
				_ = backoff.Sleep(ctx, time.Second) // the loop looks at ctx
			}
		}
	})
}
