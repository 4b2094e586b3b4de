package controller

import (
	"context"

	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata/schema"
)

// sealedOnly keeps the orphans whose former owner has no journal that isn't sealed, as
// etcd has it now: that is what makes an owner dead for good (design page 0005). The
// picture's parts may be of different moments.
func (c *Controller) sealedOnly(ctx context.Context, orphans []orphan) []orphan {
	over := map[id.Incarnation]bool{0: true}
	left := orphans[:0]
	for _, o := range orphans {
		i := o.last.Incarnation
		if _, asked := over[i]; !asked {
			over[i] = c.allSealed(ctx, i)
		}
		if over[i] {
			left = append(left, o)
		}
	}
	return left
}

func (c *Controller) allSealed(ctx context.Context, i id.Incarnation) bool {
	kvs, _, err := c.deps.Store.List(ctx, schema.WriterJournals(i))
	if err != nil {
		return false
	}
	for _, kv := range kvs {
		rec, err := schema.DecodeJournal(kv.Value)
		if err != nil || rec.State != schema.JournalSealed && !mutate.On(mutate.TrustLease) {
			return false
		}
	}
	return true
}
