package agent

import (
	"context"
	"time"

	"varve/admin"
	"varve/controller"
	"varve/internal/id"
	"varve/wal"
)

// LossCost is what giving up a journal may cost.
type LossCost struct {
	JournalStatus
	// Partitions may lose what isn't in the tier and no live member has.
	Partitions int      `json:"partitions"`
	Topics     []string `json:"topics"` // the first of them
	// TopicsTotal counts those that are not listed as well.
	TopicsTotal int `json:"topics_total"`
	// Kept is what live members have and the bucket lacks: it stays. What may be lost was
	// written after that; how much it was, nobody who is alive knows.
	KeptEntries  uint64 `json:"kept_entries"`
	KeptRecords  int64  `json:"kept_records"`
	KeptBytes    int64  `json:"kept_bytes"`
	NewestKeptMs int64  `json:"newest_kept_ms"` // timestamp of the newest such record, in ms since 1970; -1: there is none
	// TieredMs is the timestamp of the newest record of these partitions that is in the
	// bucket, in ms since 1970; -1: there is none.
	TieredMs int64 `json:"newest_in_bucket_ms"`
	// LostEntries is how many entries (of one or more batches) are lost for sure; -1: not
	// known, as only the members that are gone knew how far the journal went.
	LostEntries int64 `json:"lost_entries"`
}

// lossPatience bounds the reading of what live members have.
const lossPatience = 10 * time.Second

// LossCost reports what giving up a journal may cost, or cluster.ErrNoLoss.
func (a *Agent) LossCost(ctx context.Context, j id.Journal) (any, error) {
	if !a.hasStarted() {
		return nil, errStarting
	}
	c, err := a.control.LossCost(ctx, j)
	if err != nil {
		return nil, err
	}
	out := LossCost{JournalStatus: a.journalStatus(j, c.Record.Journal), Partitions: len(c.Partitions), Topics: []string{}, NewestKeptMs: -1, TieredMs: c.TieredMs, LostEntries: -1}
	seen := map[id.Topic]bool{}
	for _, p := range c.Partitions {
		if !seen[p.Topic] && len(seen) < reasonsShown {
			out.Topics = append(out.Topics, a.topicName(p.Topic))
		}
		seen[p.Topic] = true
	}
	out.TopicsTotal = len(seen)
	ctx, cancel := context.WithTimeout(ctx, lossPatience)
	defer cancel()
	a.survivors(ctx, j, &c, &out)
	if c.Record.End > 0 {
		out.LostEntries = int64(c.Record.End - min(c.Record.End, out.KeptEntries))
	}
	return out, nil
}

// survivors finds out what live members have of a journal.
func (a *Agent) survivors(ctx context.Context, j id.Journal, c *controller.Cost, out *LossCost) {
	var best id.Store
	for i, s := range c.Record.Keepers() {
		out.Members[i].Entries = -1
		if !out.Members[i].Live {
			continue
		}
		last, err := a.peers.Last(ctx, s, j)
		if err != nil {
			a.log.Debug("journal member does not report what it has", "journal", j, "store", s, "err", err)
			continue
		}
		if out.Members[i].Entries = int64(last); last > out.KeptEntries {
			best, out.KeptEntries = s, last
		}
	}
	if out.KeptEntries == 0 {
		return
	}
	err := a.peers.Entries(ctx, best, j, func(e *wal.Entry) error {
		for _, rec := range e.Records {
			if end, ours := c.Tiered[rec.Partition]; ours && rec.End() > end {
				out.KeptRecords += int64(rec.Count)
				out.KeptBytes += int64(rec.Size)
				out.NewestKeptMs = max(out.NewestKeptMs, rec.MaxTime)
			}
		}
		return nil
	})
	if err != nil {
		a.log.Debug("journal member's copy can't be read", "journal", j, "store", best, "err", err)
	}
}

// Loss is what giving up a journal came to.
type Loss struct {
	Journal string `json:"journal"`
	Kept    uint64 `json:"kept_entries"`
	Whole   bool   `json:"whole"` // nothing was lost after all
	Gone    bool   `json:"gone"`  // nothing of it was left
	// Lost is how many entries were lost; -1: not known, 0 is possible.
	Lost int64 `json:"lost_entries"`
}

// AcceptLoss gives up what no live agent has of a journal.
func (a *Agent) AcceptLoss(ctx context.Context, j id.Journal) (any, error) {
	if !a.hasStarted() {
		return nil, errStarting
	}
	l, err := a.control.AcceptLoss(ctx, j)
	if err != nil {
		return nil, err
	}
	a.log.Warn("loss accepted by an operator", "journal", j, "kept_entries", l.Kept, "lost_entries", l.Lost, "whole", l.Whole, "gone", l.Gone, "client", admin.Client(ctx))
	return Loss{j.String(), l.Kept, l.Whole, l.Gone, l.Lost}, nil
}
