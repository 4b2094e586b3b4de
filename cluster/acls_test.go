package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"varve/auth/acl"
	"varve/metadata"
	"varve/metadata/schema"
)

// withViews runs two agents' views of one store.
func withViews(t *testing.T, f func(t *testing.T, memory *metadata.Memory, here, there *Editor)) {
	synctest.Test(t, func(t *testing.T) {
		memory := metadata.NewMemory()
		ctx, cancel := context.WithCancel(t.Context())
		var editors []*Editor
		for range 2 {
			store := memory.Open()
			defer store.Close()
			v := NewView(store, slog.New(slog.DiscardHandler))
			go v.Run(ctx)
			<-v.Ready()
			editors = append(editors, NewEditor(v, store, nil))
		}
		defer synctest.Wait()
		defer cancel()
		f(t, memory, editors[0], editors[1])
	})
}

func readOf(name string) acl.Binding {
	return acl.Binding{Type: acl.Topic, Pattern: acl.Literal, Name: name, Principal: "User:a", Host: acl.Wildcard, Operation: acl.Read, Permission: acl.Allow}
}

// A change returns when the agent that made it shows it; the others show it soon after.
func TestACLsAreShownAtOnce(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, there *Editor) {
		var all []acl.Binding
		for i := range 300 { // more than one transaction takes
			all = append(all, readOf(fmt.Sprint("t", i)))
		}
		if err := here.CreateACLs(t.Context(), "User:admin", append(slices.Clone(all), all[0])); err != nil {
			t.Fatal(err)
		}
		if here.view.ACLs.Rules().Len() != 300 {
			t.Fatalf("%d bindings", here.view.ACLs.Rules().Len())
		}
		before := here.view.ACLs.Rules()
		if err := here.CreateACLs(t.Context(), "User:admin", all); err != nil || here.view.ACLs.Rules() != before {
			t.Fatalf("created again: %v, other rules: %v", err, here.view.ACLs.Rules() != before)
		}
		synctest.Wait()
		if there.view.ACLs.Rules().Len() != 300 {
			t.Fatalf("%d bindings at the other agent", there.view.ACLs.Rules().Len())
		}
		one := acl.Filter{Type: acl.Topic, Pattern: acl.Literal, Name: &all[7].Name, Principal: &all[7].Principal, Host: &all[7].Host, Operation: acl.Read, Permission: acl.Allow}
		for range 2 {
			if got, err := there.DeleteACLs(t.Context(), one); err != nil || there.view.ACLs.Rules().Has(all[7]) || len(got) > 1 {
				t.Fatalf("deleted %v, %v", got, err)
			}
		}
		got, err := there.DeleteACLs(t.Context(), acl.Everything())
		if err != nil || len(got) != 299 || there.view.ACLs.Rules().Len() != 0 {
			t.Fatalf("deleted %d, %v; %d are left", len(got), err, there.view.ACLs.Rules().Len())
		}
	})
}

// While the store is away the last rules hold, and changes fail.
func TestACLsHoldWhileTheStoreIsAway(t *testing.T) {
	withViews(t, func(t *testing.T, memory *metadata.Memory, here, _ *Editor) {
		if err := here.CreateACLs(t.Context(), "User:admin", []acl.Binding{readOf("t")}); err != nil {
			t.Fatal(err)
		}
		memory.SetAvailable(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := here.CreateACLs(ctx, "User:admin", []acl.Binding{readOf("u")}); err == nil {
			t.Error("created without a store")
		}
		if !here.view.ACLs.Rules().Has(readOf("t")) || here.view.ACLs.Rules().Has(readOf("u")) {
			t.Error("the rules changed")
		}
		memory.SetAvailable(true)
	})
}

// A cluster has at most MaxACLs bindings, and says so.
func TestACLsAreBounded(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, _ *Editor) {
		all := make([]acl.Binding, MaxACLs+1)
		for i := range all {
			all[i] = readOf(fmt.Sprint("t", i))
		}
		if err := here.CreateACLs(t.Context(), "User:admin", all); !errors.Is(err, ErrTooManyACLs) {
			t.Error(err)
		}
	})
}

// An entry that can't be read is no rule, and doesn't take the others away.
func TestUnreadableACL(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, _ *Editor) {
		if _, err := here.store.Txn(t.Context(), nil, metadata.Put(schema.PrefixACLs+"x", nil), metadata.Put(schema.ACLKey(readOf("t")), schema.ACL{}.Encode())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !here.view.ACLs.Rules().Has(readOf("t")) || !here.view.Unreadable() {
			t.Error("not as expected")
		}
	})
}

// The binding is the key: a denial holds whatever its value is, such as one of a later build.
func TestACLWithUnreadableValue(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, _ *Editor) {
		if _, err := here.store.Txn(t.Context(), nil, metadata.Put(schema.ACLKey(readOf("t")), []byte{99, 1, 2})); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !here.view.ACLs.Rules().Has(readOf("t")) {
			t.Error("the binding doesn't hold")
		}
	})
}

// What was just deleted through one agent is created again through another one that hasn't heard
// of that.
func TestACLIsCreatedOverAnOldView(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, there *Editor) {
		if err := here.CreateACLs(t.Context(), "User:admin", []acl.Binding{readOf("t")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		old := &Editor{view: there.view, store: deletedMeanwhile{there.store}}
		if err := old.CreateACLs(t.Context(), "User:admin", []acl.Binding{readOf("t")}); err != nil {
			t.Fatal(err)
		}
		if kv, err := here.store.Get(t.Context(), schema.ACLKey(readOf("t"))); err != nil || len(kv.Value) == 0 {
			t.Errorf("it isn't stored: %v", err)
		}
	})
}

// deletedMeanwhile deletes a key before the first look at it.
type deletedMeanwhile struct{ metadata.Store }

func (s deletedMeanwhile) Get(ctx context.Context, key string) (metadata.KV, error) {
	if _, err := s.Txn(ctx, nil, metadata.Delete(key)); err != nil {
		return metadata.KV{}, err
	}
	return s.Store.Get(ctx, key)
}

// 10,000 bindings that are created one by one cost little each.
func BenchmarkApplyACL10000(b *testing.B) {
	v := NewView(metadata.NewMemory().Open(), slog.New(slog.DiscardHandler))
	at := slices.IndexFunc(v.kinds, func(k kind) bool { return k.prefix == schema.PrefixACLs })
	value := schema.ACL{}.Encode()
	n := 0
	for b.Loop() {
		e := metadata.Event{Type: metadata.EventPut, KV: metadata.KV{Key: schema.ACLKey(readOf(fmt.Sprint("topic-", n%10_000))), Value: value}}
		if n/10_000%2 == 1 {
			e.Type = metadata.EventDelete
		}
		v.apply(v.kinds[at], metadata.Batch{Rev: metadata.Revision(n + 1), Events: []metadata.Event{e}})
		n++
	}
}
