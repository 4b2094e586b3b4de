package cluster

import (
	"sync/atomic"

	"varve/auth/acl"
	"varve/metadata/schema"
)

// ACLs are the bindings that a view shows, indexed. They are published after every batch of
// changes.
type ACLs struct {
	edit *acl.Edit // guarded by the view's lock
	now  atomic.Pointer[acl.Rules]
}

func newACLs() *ACLs { return &ACLs{edit: acl.NewEdit(nil)} }

// Rules returns the bindings that are in force; nil is none. The set never changes: another
// one is returned after a change. While the store is away it is the last one.
func (a *ACLs) Rules() *acl.Rules { return a.now.Load() }

func (a *ACLs) changed(b acl.Binding, _, now *schema.ACL) {
	if now == nil {
		a.edit.Remove(b)
	} else {
		a.edit.Add(b)
	}
}

func (a *ACLs) publish() { a.now.Store(a.edit.Rules()) }
