package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"varve/auth/quota"
	"varve/metadata"
	"varve/metadata/schema"
)

var anybody = quota.Entity{User: quota.Default()}

// A change returns when the agent that made it shows it; the others show it soon after. A new
// agent shows what there is.
func TestQuotasAreShownAtOnce(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, there *Editor) {
		alter := func(e *Editor, k quota.Key, value float64) *quota.Set {
			t.Helper()
			if err := e.AlterQuotas(t.Context(), anybody, map[quota.Key]float64{k: value}); err != nil {
				t.Fatal(err)
			}
			return e.view.Quotas.Set()
		}
		if got := alter(here, quota.ProducerByteRate, 10).Get(anybody); got != (quota.Values{quota.ProducerByteRate: 10}) {
			t.Errorf("shown: %v", got)
		}
		before := here.view.Quotas.Set()
		if alter(here, quota.ProducerByteRate, 10) != before {
			t.Error("another set without a change")
		}
		synctest.Wait()
		if got := alter(there, quota.ConsumerByteRate, 5).Get(anybody); got != (quota.Values{quota.ProducerByteRate: 10, quota.ConsumerByteRate: 5}) {
			t.Errorf("shown at the other agent: %v", got)
		}
		alter(there, quota.ProducerByteRate, 0)
		if set := alter(there, quota.ConsumerByteRate, 0); set != nil {
			t.Errorf("all were removed: %v", set)
		}
		if set := alter(there, quota.ConsumerByteRate, 0); set != nil {
			t.Errorf("one was removed that isn't there: %v", set)
		}
		synctest.Wait()
		if set := here.view.Quotas.Set(); set != nil {
			t.Errorf("left at the first agent: %v", set)
		}
	})
}

// While the store is away the last quotas hold, and changes fail.
func TestQuotasHoldWhileTheStoreIsAway(t *testing.T) {
	withViews(t, func(t *testing.T, memory *metadata.Memory, here, _ *Editor) {
		if err := here.AlterQuotas(t.Context(), anybody, map[quota.Key]float64{quota.RequestPercentage: 50}); err != nil {
			t.Fatal(err)
		}
		set := here.view.Quotas.Set()
		memory.SetAvailable(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := here.AlterQuotas(ctx, anybody, map[quota.Key]float64{quota.RequestPercentage: 60}); err == nil {
			t.Error("changed without a store")
		}
		time.Sleep(time.Minute)
		memory.SetAvailable(true)
		time.Sleep(time.Minute)
		if here.view.Quotas.Set() != set {
			t.Error("the quotas changed")
		}
	})
}

// A cluster has at most MaxQuotas entities with quotas, and says so; those that have some may be
// changed further.
func TestQuotasAreBounded(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, _ *Editor) {
		user := func(i int) quota.Entity { return quota.Entity{User: quota.Named(fmt.Sprint("u", i))} }
		for i := 0; i < MaxQuotas; i += metadata.MaxTxnOps {
			var ops []metadata.Op
			for k := i; k < min(i+metadata.MaxTxnOps, MaxQuotas); k++ {
				ops = append(ops, metadata.Put(schema.QuotaKey(user(k)), schema.EncodeQuotas(quota.Values{quota.ProducerByteRate: 1})))
			}
			if _, err := here.store.Txn(t.Context(), nil, ops...); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		one := map[quota.Key]float64{quota.ConsumerByteRate: 1}
		if err := here.AlterQuotas(t.Context(), user(MaxQuotas), one); !errors.Is(err, ErrTooManyQuotas) {
			t.Error(err)
		}
		if err := here.AlterQuotas(t.Context(), user(7), one); err != nil {
			t.Error(err)
		}
	})
}

// An entry that can't be read, or that its entity may not have, is no quota, and doesn't take
// the others away.
func TestUnreadableQuotas(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, _ *Editor) {
		good := schema.EncodeQuotas(quota.Values{quota.ProducerByteRate: 1})
		if _, err := here.store.Txn(t.Context(), nil, metadata.Put(schema.PrefixQuotas+"x", good), metadata.Put("quotas/ip/", good),
			metadata.Put("quotas/user/a", nil), metadata.Put("quotas/user/", good)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if set := here.view.Quotas.Set(); set.Len() != 1 || !set.Has(quota.ProducerByteRate) || !here.view.Unreadable() {
			t.Error("not as expected")
		}
	})
}
