package ownjournal

import (
	"context"
	"slices"
	"sync"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
)

// Trim tells the journal which entries are no longer needed, and deletes from etcd this
// incarnation's sealed journals of which none are.
func (j *Journal) Trim(ctx context.Context) {
	// Before looking at what is needed: what comes later is needed too, and a journal
	// that was sealed by then gets nothing more.
	mine, committed := j.writer.Tip()
	known := j.deps.View.Journals()
	if rec, ok := known[mine]; ok && rec.State != schema.JournalOpen {
		return // others decide about it now, or it is being left
	}
	first := map[id.Journal]wal.Pos{}
	j.deps.Partitions.Needs(func(of id.Journal, from wal.Pos) {
		if pos, seen := first[of]; !seen || from < pos {
			first[of] = from
		}
	})
	if from, needed := first[mine]; needed {
		j.deps.Node.Trim(mine, from, committed)
	} else {
		j.deps.Node.Trim(mine, ^wal.Pos(0), committed)
	}
	elsewhere := sync.OnceValue(func() bool { return j.neededElsewhere(ctx) })
	for other, rec := range known {
		_, needed := first[other]
		if other != mine && other.Writer == j.deps.Incarnation && rec.State == schema.JournalSealed && !needed && !elsewhere() {
			j.forget(ctx, other, rec.Mod)
		}
	}
}

// neededElsewhere reports whether a partition that Needs doesn't account for may have a part
// of its tail in this incarnation's journals.
func (j *Journal) neededElsewhere(ctx context.Context) bool {
	kvs, _, err := j.deps.Meta.List(ctx, schema.PrefixOwners)
	if err != nil {
		return true
	}
	for _, kv := range kvs {
		p, bad := schema.ParseOwnerKey(kv.Key)
		own, err := schema.DecodeOwnership(kv.Value)
		if bad != nil || err != nil {
			return true
		}
		open := own.Owner == j.deps.Incarnation && j.deps.Partitions.Accounts(p)
		if !open && slices.ContainsFunc(own.Chain, func(l schema.Link) bool { return l.Writer == j.deps.Incarnation }) {
			return true
		}
	}
	return false
}

// forget removes a journal from etcd; the stores that keep it drop it then.
func (j *Journal) forget(ctx context.Context, of id.Journal, mod metadata.Revision) {
	key := schema.JournalKey(of)
	if _, err := j.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: mod}}, metadata.Delete(key)); err != nil {
		j.deps.Log.Debug("journal not deleted yet", "journal", of, "err", err)
	}
}
