package agent

import (
	"context"
	"slices"
	"sync"

	"varve/internal/id"
	"varve/metadata"
	"varve/wal"
)

// trim tells the own journal which entries are no longer needed, and deletes from etcd the
// own sealed journals of which none are. Journals of other agents are for the controller.
func (a *Agent) trim(ctx context.Context) {
	// Before looking at what is needed: what comes later is needed too, and a journal
	// that was sealed by then gets nothing more.
	mine, committed := a.journal.Tip()
	known := a.view.Journals()
	if rec, ok := known[mine]; ok && rec.State != metadata.JournalOpen {
		return // others decide about it now, or it is being left
	}
	first := map[id.Journal]wal.Pos{}
	for _, p := range a.owned.all() {
		p.Needs(func(j id.Journal, from wal.Pos) {
			if pos, seen := first[j]; !seen || from < pos {
				first[j] = from
			}
		})
	}
	if from, needed := first[mine]; needed {
		a.peers.Trim(mine, from, committed)
	} else {
		a.peers.Trim(mine, ^wal.Pos(0), committed)
	}
	elsewhere := sync.OnceValue(func() bool { return a.neededElsewhere(ctx) })
	for j, rec := range known {
		_, needed := first[j]
		if j != mine && j.Writer == a.inc && rec.State == metadata.JournalSealed && !needed && !elsewhere() {
			a.forget(ctx, j, rec.Mod)
		}
	}
}

// neededElsewhere reports whether a partition that isn't open here may have a part of its
// tail in this incarnation's journals.
func (a *Agent) neededElsewhere(ctx context.Context) bool {
	kvs, _, err := a.deps.Meta.List(ctx, metadata.PrefixHeads)
	if err != nil {
		return true
	}
	for _, kv := range kvs {
		p, bad := metadata.ParseHeadKey(kv.Key)
		h, err := metadata.DecodeHead(kv.Value)
		if bad != nil || err != nil {
			return true
		}
		open := h.Owner == a.inc && (a.owned.Get(p) != nil || a.gone(p))
		if !open && slices.ContainsFunc(h.Chain, func(l metadata.Link) bool { return l.Writer == a.inc }) {
			return true
		}
	}
	return false
}

// forget removes a journal from etcd; the stores that keep it drop it then.
func (a *Agent) forget(ctx context.Context, j id.Journal, mod metadata.Revision) {
	key := metadata.JournalKey(j)
	if _, err := a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: mod}}, metadata.Delete(key)); err != nil {
		a.log.Debug("journal not deleted yet", "journal", j, "err", err)
	}
}
