package agent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
)

// loadEvery is how often an agent tells what it has to do. It is one small write to
// etcd, and what the balancer's patience is counted in.
const loadEvery = 5 * time.Second

// tellLoad publishes, until ctx ends, what clients make this agent do.
func (a *Agent) tellLoad(ctx context.Context) {
	every := time.NewTicker(loadEvery)
	defer every.Stop()
	m := rates{at: a.deps.Now()}
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		l := m.read(a.deps.Now(), a.owned.All())
		l.Incarnation = a.inc
		write, cancel := context.WithTimeout(ctx, loadEvery)
		_, err := a.deps.Meta.Txn(write, nil, metadata.PutLeased(schema.LoadKey(a.self), l.Encode(), a.reg.lease().Lease()))
		cancel()
		if err != nil && ctx.Err() == nil {
			a.log.Debug("load not published", "err", err)
		}
	}
}

// rates makes rates out of partitions' counters.
type rates struct {
	at   time.Time
	seen map[id.Partition]partition.Work
}

// read returns the rates since the last time. A partition that is new here counts from
// the next time on.
func (m *rates) read(now time.Time, all []*partition.Partition) schema.Load {
	l := schema.Load{Partitions: int64(len(all))}
	ms := max(now.Sub(m.at).Milliseconds(), 1)
	seen := make(map[id.Partition]partition.Work, len(all))
	for _, p := range all {
		w := p.Work()
		seen[p.ID()] = w
		was, known := m.seen[p.ID()]
		if !known || w.Requests < was.Requests || w.Bytes < was.Bytes {
			continue
		}
		rate := schema.Work{Bytes: (w.Bytes - was.Bytes) * 1000 / ms, Requests: (w.Requests - was.Requests) * 1000 / ms}
		l.Total.Bytes += rate.Bytes
		l.Total.Requests += rate.Requests
		if rate != (schema.Work{}) {
			l.Hot = append(l.Hot, schema.Hot{Partition: p.ID(), Work: rate})
		}
	}
	m.at, m.seen = now, seen
	slices.SortFunc(l.Hot, func(x, y schema.Hot) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(y.Requests, x.Requests), x.Partition.Compare(y.Partition))
	})
	l.Hot = l.Hot[:min(len(l.Hot), schema.MaxHot)]
	return l
}
