package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"varve/auth/acl"
	"varve/internal/mutate"
	"varve/metadata"
	"varve/metadata/schema"
)

// MaxACLs is how many bindings a cluster may have: every agent keeps all of them in memory,
// a few hundred bytes each.
const MaxACLs = 50_000

// ErrTooManyACLs: the cluster has as many bindings as it may have.
var ErrTooManyACLs = errors.New("too many ACLs")

// CreateACLs stores bindings, which must be valid, and returns once the view shows them. One
// that is there already stays as it is: the store is asked, as the view may show one that was just
// deleted. The number of bindings is that of the view: agents that create some at the same time
// may exceed MaxACLs a little.
func (e *Editor) CreateACLs(ctx context.Context, by string, bindings []acl.Binding) error {
	there := e.view.ACLs.Rules()
	var missing []acl.Binding
	for _, b := range slices.Compact(slices.SortedFunc(slices.Values(bindings), acl.Binding.Compare)) {
		stored, err := e.hasACL(ctx, there, b)
		if err != nil {
			return fmt.Errorf("read ACLs: %w", err)
		}
		if !stored {
			missing = append(missing, b)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if there.Len()+len(missing) > MaxACLs {
		return Refuse(ErrTooManyACLs, "The cluster has %d ACLs; with %d more there would be more than %d, the most that are allowed", there.Len(), len(missing), MaxACLs)
	}
	value := schema.ACL{By: by, Created: time.Now()}.Encode()
	var rev metadata.Revision
	for some := range slices.Chunk(missing, metadata.MaxTxnOps) {
		ops := make([]metadata.Op, len(some))
		for i, b := range some {
			ops[i] = metadata.Put(schema.ACLKey(b), value)
		}
		var err error
		if rev, err = e.store.Txn(ctx, nil, ops...); err != nil && !mutate.On(mutate.AckUnstored) {
			return fmt.Errorf("store ACLs: %w", err)
		}
	}
	return e.view.Await(ctx, schema.PrefixACLs, rev)
}

// hasACL reports whether the store has a binding. One that the view doesn't show may be stored
// again.
func (e *Editor) hasACL(ctx context.Context, there *acl.Rules, b acl.Binding) (bool, error) {
	if !there.Has(b) {
		return false, nil
	}
	_, err := e.store.Get(ctx, schema.ACLKey(b))
	if errors.Is(err, metadata.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// DeleteACLs deletes the bindings that a filter matches, and returns them once the view no
// longer shows them. It asks the store which there are: this agent may not have seen the
// newest ones. With an error it returns those that it deleted before.
func (e *Editor) DeleteACLs(ctx context.Context, f acl.Filter) ([]acl.Binding, error) {
	var deleted []acl.Binding
	var last metadata.Revision
	for {
		found, err := e.findACLs(ctx, f)
		if err != nil {
			return deleted, fmt.Errorf("read ACLs: %w", err)
		}
		for some := range slices.Chunk(found, metadata.MaxTxnOps) {
			var rev metadata.Revision
			if rev, err = e.deleteACLs(ctx, some); err != nil {
				break
			}
			last = rev
			for _, kv := range some {
				deleted = append(deleted, kv.binding)
			}
		}
		if errors.Is(err, metadata.ErrConflict) {
			continue // someone else deleted one
		}
		if err != nil {
			return deleted, fmt.Errorf("delete ACLs: %w", err)
		}
		slices.SortFunc(deleted, acl.Binding.Compare)
		return deleted, e.view.Await(ctx, schema.PrefixACLs, last)
	}
}

// storedACL is a binding as the store has it.
type storedACL struct {
	binding acl.Binding
	kv      metadata.KV
}

// deleteACLs deletes bindings that nobody changed meanwhile.
func (e *Editor) deleteACLs(ctx context.Context, some []storedACL) (metadata.Revision, error) {
	var guards []metadata.Guard
	var ops []metadata.Op
	for _, s := range some {
		guards = append(guards, metadata.Guard{Key: s.kv.Key, Mod: s.kv.Mod})
		ops = append(ops, metadata.Delete(s.kv.Key))
	}
	return e.store.Txn(ctx, guards, ops...)
}

// findACLs returns the stored bindings that a filter matches.
func (e *Editor) findACLs(ctx context.Context, f acl.Filter) (found []storedACL, err error) {
	if b, ok := f.Only(); ok {
		kv, err := e.store.Get(ctx, schema.ACLKey(b))
		if errors.Is(err, metadata.ErrNotFound) {
			return nil, nil
		}
		return []storedACL{{b, kv}}, err
	}
	all, _, err := e.store.List(ctx, schema.PrefixACLs)
	for _, kv := range all {
		if b, err := schema.ParseACLKey(kv.Key); err == nil && f.Matches(&b) {
			found = append(found, storedACL{b, kv})
		}
	}
	return found, err
}
