package owner

import (
	"context"
	"fmt"
	"slices"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata/schema"
)

// journalsNow reads the journals' records after the heads were read. The view follows
// each kind of key by itself, so that it may not show yet a journal that a head needs:
// its records would be left out.
func (o *Owner) journalsNow(ctx context.Context) (map[id.Journal]cluster.Journal, error) {
	kvs, _, err := o.deps.Meta.List(ctx, schema.PrefixJournals)
	if err != nil {
		return nil, err
	}
	out := make(map[id.Journal]cluster.Journal, len(kvs))
	for _, kv := range kvs {
		j, err := schema.ParseJournalKey(kv.Key)
		if err != nil {
			return nil, err
		}
		rec, err := schema.DecodeJournal(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kv.Key, err)
		}
		out[j] = cluster.Journal{Journal: rec, Mod: kv.Mod}
	}
	return out, nil
}

// findTails notes the sealed journals that chains name, by writer and number, and makes
// partitions wait whose chain names one that isn't sealed. In the present epoch nothing
// was written that the tier lacks: it begins with this agent's serving.
func findTails(all []*candidate, journals map[id.Journal]cluster.Journal, mine id.Journal) {
	by := map[id.Incarnation][]tail{}
	for j, rec := range journals {
		by[j.Writer] = append(by[j.Writer], tail{j, rec})
	}
	for _, c := range all {
		chain := c.head.Chain
		if mutate.On(mutate.ForgetChain) {
			chain = chain[max(0, len(chain)-2):]
		}
		for _, l := range chain {
			if l.Epoch == c.head.Epoch {
				continue
			}
			for _, t := range by[l.Writer] {
				switch {
				case t.Journal == mine:
				case t.rec.State != schema.JournalSealed && !mutate.On(mutate.TrustLease):
					c.why = fmt.Errorf("journal %v holds its newest records, and is %v", t.Journal, t.rec.State)
				case t.rec.End > 0:
					c.tails = append(c.tails, t)
				}
			}
		}
		slices.SortFunc(c.tails, tail.compare)
		c.tails = slices.CompactFunc(c.tails, func(x, y tail) bool { return x.Journal == y.Journal })
	}
}
