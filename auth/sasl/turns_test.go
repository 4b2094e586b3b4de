package sasl

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Sources take turns, and each source's logins are in order; one that gives up leaves.
func TestSourcesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		if err := turns.take(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(ctx context.Context, from string) {
			go func() {
				if turns.take(ctx, from) == nil {
					order = append(order, from)
					turns.give()
				}
			}()
			synctest.Wait()
		}
		gone, leave := context.WithCancel(t.Context())
		for range 100 {
			wait(gone, "a")
		}
		for range 3 {
			wait(t.Context(), "a")
		}
		wait(t.Context(), "b")
		wait(gone, "c")
		wait(t.Context(), "d")
		wait(t.Context(), "b")
		leave()
		synctest.Wait()
		turns.give()
		synctest.Wait()
		want := []string{"a", "b", "d", "a", "b", "a"}
		for i := range want {
			if len(order) != len(want) || order[i] != want[i] {
				t.Fatalf("the order is %v, want %v", order, want)
			}
		}
		if turns.mu.free != 1 || len(turns.mu.by) != 0 || turns.mu.sources.Len() != 0 {
			t.Errorf("%d are free, %d sources wait", turns.mu.free, len(turns.mu.by))
		}
	})
}

// A turn that comes to one who has just given up goes to the next.
func TestTurnsAreNotLost(t *testing.T) {
	turns := newTurns(2)
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 4)
		for i := range cap(done) {
			go func() {
				err := turns.take(ctx, string(rune('a'+i%2)))
				if err == nil {
					turns.give()
				}
				done <- err
			}()
		}
		cancel()
		for range cap(done) {
			<-done
		}
	}
	if turns.mu.free != 2 || len(turns.mu.by) != 0 {
		t.Errorf("%d are free, %d sources wait", turns.mu.free, len(turns.mu.by))
	}
}

// A wait for a turn ends, and is no failure of the client.
func TestWaitsForATurnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Options{Lookup: accounts{}.lookup, Hashes: 1})
		if err := s.hashing.take(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		e, _ := s.Begin(Plain, "a")
		if _, _, err := e.Step(t.Context(), []byte("\x00u\x00p")); !errors.Is(err, ErrBusy) || isFailure(err) || time.Since(began) != longestWait {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
