package controller

import (
	"context"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// forgetEvery is how often it is looked which journals no one needs.
const forgetEvery = 5 * time.Second

// forgetJournals removes the sealed journals of dead writers that no head names: the
// tier has all that they held. What the stores keep of them they drop then.
func (c *Controller) forgetJournals(ctx context.Context, p *picture) {
	now := time.Now()
	if now.Sub(c.forgot) < forgetEvery {
		return
	}
	c.forgot = now
	old := map[id.Journal]metadata.Revision{}
	for j, rec := range p.journals {
		if rec.State == schema.JournalSealed && c.dead(ctx, p, j.Writer, rec.Broker) {
			old[j] = rec.Mod
		}
	}
	if len(old) == 0 {
		return
	}
	kvs, _, err := c.deps.Store.List(ctx, schema.PrefixOwners)
	if err != nil {
		return // later
	}
	named := map[id.Incarnation]bool{}
	for _, kv := range kvs {
		own, err := schema.DecodeOwnership(kv.Value)
		if err != nil {
			c.log.Error("journals are kept: the ownership of a partition can't be read", "key", kv.Key, "err", err)
			return
		}
		for _, l := range own.Chain {
			named[l.Writer] = true
		}
	}
	for j, mod := range old {
		if named[j.Writer] {
			continue
		}
		key := schema.JournalKey(j)
		if _, err := c.deps.Store.Txn(ctx, []metadata.Guard{{Key: key, Mod: mod}}, metadata.Delete(key)); err == nil {
			c.log.Info("journal deleted: all of it is in the bucket", "journal", j)
		}
	}
}
