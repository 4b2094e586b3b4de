package agent

import (
	"context"
	"time"

	"varve/admin"
	"varve/controller"
	"varve/internal/id"
	"varve/wal"
)

// lossPatience bounds the reading of what live members have.
const lossPatience = 10 * time.Second

// LossCost reports what giving up a journal may cost, or cluster.ErrNoLoss.
func (c *console) LossCost(ctx context.Context, j id.Journal) (*admin.LossCost, error) {
	cost, err := c.control.LossCost(ctx, j)
	if err != nil {
		return nil, err
	}
	out := admin.LossCost{JournalStatus: c.journalStatus(j, cost.Record.Journal), Partitions: len(cost.Partitions), Topics: []string{}, NewestKeptMs: -1, TieredMs: cost.TieredMs, LostEntries: -1}
	seen := map[id.Topic]bool{}
	for _, p := range cost.Partitions {
		if !seen[p.Topic] && len(seen) < reasonsShown {
			out.Topics = append(out.Topics, c.names().topic(p.Topic))
		}
		seen[p.Topic] = true
	}
	out.TopicsTotal = len(seen)
	ctx, cancel := context.WithTimeout(ctx, lossPatience)
	defer cancel()
	c.survivors(ctx, j, &cost, &out)
	if cost.Record.End > 0 {
		out.LostEntries = int64(cost.Record.End - min(cost.Record.End, out.KeptEntries))
	}
	return &out, nil
}

// survivors finds out what live members have of a journal.
func (c *console) survivors(ctx context.Context, j id.Journal, cost *controller.Cost, out *admin.LossCost) {
	var best id.Store
	for i, s := range cost.Record.Keepers() {
		out.Members[i].Entries = -1
		if !out.Members[i].Live {
			continue
		}
		last, err := c.peers.Last(ctx, s, j)
		if err != nil {
			c.log.Debug("journal member does not report what it has", "journal", j, "store", s, "err", err)
			continue
		}
		if out.Members[i].Entries = int64(last); last > out.KeptEntries {
			best, out.KeptEntries = s, last
		}
	}
	if out.KeptEntries == 0 {
		return
	}
	err := c.peers.Entries(ctx, best, j, func(e *wal.Entry) error {
		for _, rec := range e.Records {
			if end, ours := cost.Tiered[rec.Partition]; ours && rec.End() > end {
				out.KeptRecords += int64(rec.Count)
				out.KeptBytes += int64(rec.Size)
				out.NewestKeptMs = max(out.NewestKeptMs, rec.MaxTime)
			}
		}
		return nil
	})
	if err != nil {
		c.log.Debug("journal member's copy can't be read", "journal", j, "store", best, "err", err)
	}
}

// AcceptLoss gives up what no live agent has of a journal.
func (c *console) AcceptLoss(ctx context.Context, j id.Journal) (*admin.Loss, error) {
	l, err := c.control.AcceptLoss(ctx, j)
	if err != nil {
		return nil, err
	}
	c.log.Warn("loss accepted by an operator", "journal", j, "kept_entries", l.Kept, "lost_entries", l.Lost, "whole", l.Whole, "gone", l.Gone, "client", admin.Client(ctx))
	return &admin.Loss{Journal: j.String(), Kept: l.Kept, Whole: l.Whole, Gone: l.Gone, Lost: l.Lost}, nil
}
