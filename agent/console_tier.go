package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"varve/admin"
	"varve/health"
	"varve/internal/id"
	"varve/tiering/read"
)

// TierHoles asks the bucket for every object that the topics' heads and manifests name, and
// tells how far it is and what it finds; all topics if none is named. What readers of any
// agent met comes first: it may be damage that no such question shows.
func (c *console) TierHoles(ctx context.Context, topics []string, tell func(*admin.TierLook) error) error {
	heads, total, err := c.holes.headsOf(ctx, topics)
	if err != nil {
		return err
	}
	known := map[health.Hole]bool{}
	report := func(h health.Hole) error {
		key := health.Hole{Topic: h.Topic, Partition: h.Partition, From: h.From, To: h.To, Object: h.Object}
		if known[key] {
			return nil
		}
		known[key] = true
		return tell(&admin.TierLook{Hole: &h})
	}
	for _, agent := range c.Health(ctx).Agents {
		if agent.Report == nil {
			continue
		}
		for _, h := range agent.Report.Holes {
			if len(topics) == 0 || slices.Contains(topics, h.Topic) {
				if err := report(h); err != nil {
					return err
				}
			}
		}
	}
	return c.holes.look(ctx, heads, total, report, tell)
}

// TierSkip gives up records that can't be read: consumers pass over them from then on. Only
// the partition's owner can do it.
func (c *console) TierSkip(ctx context.Context, topic string, index int32, from, to int64) (*admin.Skipped, error) {
	p, err := c.partitionOf(topic, index)
	if err != nil {
		return nil, err
	}
	owned := c.owned.Get(p)
	if owned == nil {
		return nil, c.elsewhere(p, topic)
	}
	gone, err := c.tier.skip.Skip(ctx, owned, from, to)
	if errors.Is(err, read.ErrReadable) {
		return nil, &admin.RefusedError{Err: err}
	}
	if err != nil {
		return nil, err
	}
	out := &admin.Skipped{Topic: topic, Partition: index, Ranges: []health.Hole{}}
	for i := range gone {
		e := &gone[i]
		out.Ranges = append(out.Ranges, c.names().hole(e, time.Time{}))
		c.log.Warn("records were given up as an operator decided; consumers pass over their offsets", "topic", topic, "partition", index, "from", e.From, "to", e.To, "object", e.Key, "client", admin.Client(ctx), "err", e.Err)
	}
	c.tier.Recheck(ctx, c.holes.canRead)
	return out, nil
}

// elsewhere reports which agent is to be asked about a partition.
func (c *console) elsewhere(p id.Partition, topic string) error {
	if o, ok := c.view.Owner(p); ok && o.Broker != c.self {
		if l, live := c.view.Agent(o.Broker); live && l.HTTP != "" {
			return &admin.ElsewhereError{Base: baseURL(l.HTTP), What: fmt.Sprintf("partition %s/%d", topic, p.Index), Agent: int32(o.Broker)}
		}
	}
	return fmt.Errorf("partition %s/%d has no leader now: try again", topic, p.Index)
}

// baseURL is that of an agent's HTTP, which is host:port, or a URL with TLS.
func baseURL(advertised string) string {
	if strings.Contains(advertised, "://") {
		return advertised
	}
	return (&url.URL{Scheme: "http", Host: advertised}).String()
}
