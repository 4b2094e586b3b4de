package cluster

import (
	"sync/atomic"

	"varve/auth/quota"
)

// Quotas are the quotas that a view shows. They are published after every batch of changes.
type Quotas struct {
	changes map[quota.Entity]quota.Values // that aren't published yet; guarded by the view's lock
	now     atomic.Pointer[quota.Set]
}

func newQuotas() *Quotas { return &Quotas{changes: map[quota.Entity]quota.Values{}} }

// Set returns the quotas that are in force; nil is none. The set never changes: another one is
// returned after a change. While the store is away it is the last one.
func (q *Quotas) Set() *quota.Set { return q.now.Load() }

func (q *Quotas) changed(e quota.Entity, _, now *quota.Values) {
	if now == nil {
		q.changes[e] = quota.Values{}
	} else {
		q.changes[e] = *now
	}
}

// publish makes a set of the changes. One that brings nothing new, as after a new watch, keeps
// the old set.
func (q *Quotas) publish() {
	set := q.now.Load()
	for e, v := range q.changes {
		if set.Get(e) == v {
			delete(q.changes, e)
		}
	}
	if len(q.changes) > 0 {
		q.now.Store(set.With(q.changes))
	}
	clear(q.changes)
}
