package owner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
)

// TestSetAwaits: who waits for partitions goes on at the moment that the last of them is
// served, or that the cluster changes, and looks at nothing in between.
func TestSetAwaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, none := NewSet(), make(chan struct{})
		at := func(i int32) id.Partition { return id.Partition{Index: i} }
		put := func(i int32) {
			s.Put(partition.New(&partition.Deps{}, schema.StoredHead{Partition: at(i), Head: new(schema.Head)}, new(partition.Settings)))
		}
		began := time.Now()
		time.AfterFunc(time.Hour, func() { put(1) })
		time.AfterFunc(2*time.Hour, func() { put(0) })
		if ok := s.Await(t.Context(), none, []id.Partition{at(0), at(1)}); !ok || time.Since(began) != 2*time.Hour {
			t.Errorf("%v, after %v", ok, time.Since(began))
		}
		changed := make(chan struct{})
		time.AfterFunc(time.Hour, func() { close(changed) })
		if ok := s.Await(t.Context(), changed, []id.Partition{at(2)}); ok || time.Since(began) != 3*time.Hour {
			t.Errorf("%v, after %v", ok, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if ok := s.Await(ctx, none, []id.Partition{at(2)}); ok || time.Since(began) != 4*time.Hour {
			t.Errorf("%v, after %v", ok, time.Since(began))
		}
	})
}
