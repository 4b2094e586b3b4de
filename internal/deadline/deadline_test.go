package deadline

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Deadlines come in order of their times, those of one time in order of setting; one that
// was moved or dropped doesn't come at its old time.
func TestHeapOrdersDeadlines(t *testing.T) {
	var h Heap[string]
	start := time.UnixMilli(0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	if !h.Next().IsZero() {
		t.Errorf("an empty heap has a deadline: %v", h.Next())
	}
	h.Set("b", at(10))
	h.Set("a", at(10))
	h.Set("moved", at(1))
	h.Set("dropped", at(2))
	h.Set("last", at(20))
	h.Set("moved", at(10))
	h.Cancel("dropped")
	h.Cancel("never set")
	if h.Has("dropped") || !h.Has("moved") || h.Next() != at(10) {
		t.Errorf("next is %v", h.Next())
	}
	if key, due := h.Pop(at(9)); due {
		t.Errorf("%s is due too early", key)
	}
	var got []string
	for {
		key, due := h.Pop(at(10))
		if !due {
			break
		}
		got = append(got, key)
	}
	if want := []string{"b", "a", "moved"}; !slices.Equal(got, want) || h.Next() != at(20) {
		t.Errorf("due were %v, want %v; next is %v", got, want, h.Next())
	}
}

// The heap agrees with a plain list under any calls.
func TestHeapAgreesWithList(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	type line struct{ key, at int }
	var h Heap[int]
	var list []line
	drop := func(key int) { list = slices.DeleteFunc(list, func(l line) bool { return l.key == key }) }
	for range 20_000 {
		key, at := r.IntN(50), r.IntN(100)
		switch r.IntN(4) {
		case 0, 1:
			h.Set(key, time.UnixMilli(int64(at)))
			drop(key)
			list = append(list, line{key, at})
		case 2:
			h.Cancel(key)
			drop(key)
		case 3:
			slices.SortStableFunc(list, func(a, b line) int { return a.at - b.at })
			got, due := h.Pop(time.UnixMilli(int64(at)))
			if want := len(list) > 0 && list[0].at <= at; due != want || due && got != list[0].key {
				t.Fatalf("popped %d, %v at %d from %v", got, due, at, list)
			}
			if due {
				list = list[1:]
			}
		}
		if len(list) != len(h.items) || len(list) != len(h.byKey) {
			t.Fatalf("%d deadlines and %d keys, want %d", len(h.items), len(h.byKey), len(list))
		}
	}
}
