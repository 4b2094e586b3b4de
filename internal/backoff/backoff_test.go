package backoff

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestAfter(t *testing.T) {
	p := Policy{Base: 10 * time.Millisecond, Max: 50 * time.Millisecond}
	for attempt, want := range []time.Duration{10, 20, 40, 50, 50} {
		if got := p.After(attempt); got != want*time.Millisecond {
			t.Errorf("attempt %d: %v, not %v", attempt, got, want*time.Millisecond)
		}
	}
	huge := Policy{Base: 1, Max: math.MaxInt64}
	if got := huge.After(math.MaxInt); got != huge.Max {
		t.Errorf("after many attempts %v", got)
	}
	if got := (Policy{}).After(3); got != 0 {
		t.Errorf("the zero policy waits for %v", got)
	}
	if got := (Policy{Base: time.Hour, Max: time.Second}).After(0); got != time.Second {
		t.Errorf("a base above the maximum waits for %v", got)
	}
}

func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := Retry{Policy: Policy{Base: time.Second, Max: 4 * time.Second}}
		for _, limit := range []time.Duration{1, 2, 4, 4, 0, 1} {
			if limit == 0 {
				r.Reset()
				continue
			}
			begun := time.Now()
			if err := r.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if d, most := time.Since(begun), limit*time.Second; d < most/2 || d > most {
				t.Errorf("waited for %v, not %v to %v", d, most/2, most)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		begun := time.Now()
		if err := r.Wait(ctx); err != context.DeadlineExceeded {
			t.Errorf("the context ended: %v", err)
		}
		if d := time.Since(begun); d != time.Millisecond {
			t.Errorf("returned %v after the wait began", d)
		}
	})
}
