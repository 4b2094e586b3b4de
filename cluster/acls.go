package cluster

import (
	"sync/atomic"

	"varve/auth/acl"
	"varve/metadata"
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

// anyACL reads the value of a binding, which only says who made it. The binding is the key: it
// holds whatever the value is, such as one of a later build.
func anyACL(_ acl.Binding, kv metadata.KV) (schema.ACL, error) {
	a, _ := schema.DecodeACL(kv.Value)
	return a, nil
}
