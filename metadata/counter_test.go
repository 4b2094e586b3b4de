package metadata_test

import (
	"slices"
	"sync"
	"testing"

	"varve/metadata"
)

// Everybody who adds to a counter at the same time gets a part of its own.
func TestAdd(t *testing.T) {
	s := metadata.NewMemory().Open()
	var mu sync.Mutex
	var got []uint64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			n, err := metadata.Add(t.Context(), s, "k", 3)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			got = append(got, n)
			mu.Unlock()
		})
	}
	all.Wait()
	slices.Sort(got)
	for i, n := range got {
		if n != uint64(3*i) {
			t.Fatalf("taken: %d", got)
		}
	}
	if _, err := s.Txn(t.Context(), nil, metadata.Put("k", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if n, err := metadata.Add(t.Context(), s, "k", 1); err == nil {
		t.Errorf("a counter that is no number gave %d", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
