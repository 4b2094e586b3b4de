package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errNet = errors.New("connection reset")
	silent = slog.New(slog.DiscardHandler)
)

// plan fails the calls of an operation one after the other; those beyond the
// plan go right.
func plan(op Op, faults ...Fault) (Faults, *atomic.Int32) {
	var calls atomic.Int32
	return func(call Call) Fault {
		if call.Op != op {
			return Fault{}
		}
		if n := int(calls.Add(1)); n <= len(faults) {
			return faults[n-1]
		}
		return Fault{}
	}, &calls
}

func retryOver(faults Faults) Store {
	return WithRetry(WithFaults(NewMemory(), faults), DefaultRetryPolicy(), silent)
}

func readAll(t *testing.T, store Store, key string, off, length int64) ([]byte, error) {
	t.Helper()
	body, err := store.Get(t.Context(), key, off, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func TestRetryRepeatsTransientErrorsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults, calls := plan(OpPut, Fault{Before: errNet}, Fault{After: errNet})
		store := retryOver(faults)
		if err := store.Put(t.Context(), "k", strings.NewReader("v")); err != nil || calls.Load() != 3 {
			t.Fatalf("%v after %d calls", err, calls.Load())
		}
		for _, final := range permanent {
			faults, calls := plan(OpHead, Fault{Before: final})
			if _, err := retryOver(faults).Head(t.Context(), "k"); !errors.Is(err, final) || calls.Load() != 1 {
				t.Errorf("%v: %v after %d calls", final, err, calls.Load())
			}
		}
	})
}

func TestRetryGivesUpInBoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		store := retryOver(func(Call) Fault { calls++; return Fault{Before: errNet} })
		policy := DefaultRetryPolicy()
		began := time.Now()
		err := store.Delete(t.Context(), []string{"k"})
		if !errors.Is(err, errNet) || calls != policy.Attempts {
			t.Fatalf("%v after %d calls", err, calls)
		}
		if took := time.Since(began); took <= 0 || took > 15*policy.Base {
			t.Fatalf("pauses took %s", took)
		}
	})
}

func TestRetryPauseIsBounded(t *testing.T) {
	policy := RetryPolicy{Attempts: 100, Base: time.Second, Max: 10 * time.Second}
	for attempt := range 100 {
		limit := policy.Max
		if attempt < 4 {
			limit = time.Second << attempt
		}
		for range 20 {
			if pause := policy.pause(attempt); pause < 0 || pause > limit {
				t.Fatalf("pause %s after attempt %d", pause, attempt)
			}
		}
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := RetryPolicy{Attempts: 50, Base: time.Hour, Max: time.Hour}
		calls := 0
		store := WithRetry(WithFaults(NewMemory(), func(Call) Fault { calls++; return Fault{Before: errNet} }), policy, silent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		if err := store.Put(ctx, "k", strings.NewReader("v")); !errors.Is(err, errNet) || calls > 2 {
			t.Fatalf("%v after %d calls", err, calls)
		}
	})
}

func TestRetriedPutIfAbsentKnowsItsOwnObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults, _ := plan(OpPutIfAbsent, Fault{After: errNet})
		if err := retryOver(faults).PutIfAbsent(t.Context(), "k", strings.NewReader("mine")); err != nil {
			t.Errorf("its own success: %v", err)
		}

		faults, _ = plan(OpPutIfAbsent, Fault{Before: errNet})
		store := retryOver(faults)
		if err := store.Put(t.Context(), "k", strings.NewReader("somebody else's")); err != nil {
			t.Fatal(err)
		}
		if err := store.PutIfAbsent(t.Context(), "k", strings.NewReader("mine")); !errors.Is(err, ErrExists) {
			t.Errorf("another's object: %v", err)
		}

		// Without a failure before it, ErrExists stands even for equal sizes.
		store = retryOver(func(Call) Fault { return Fault{} })
		if err := store.Put(t.Context(), "k", strings.NewReader("same")); err != nil {
			t.Fatal(err)
		}
		if err := store.PutIfAbsent(t.Context(), "k", strings.NewReader("mine")); !errors.Is(err, ErrExists) {
			t.Errorf("first attempt: %v", err)
		}
	})
}

func TestRetriedStreamGoesOnWhereItBroke(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 100)
	for _, r := range []struct{ off, length int64 }{{0, -1}, {0, 1000}, {0, 5000}, {7, -1}, {7, 500}, {990, 10}} {
		for _, cut := range []int64{0, 1, 10, 493, 993, 1000} {
			t.Run(fmt.Sprint(r, cut), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					broken := Fault{Cut: true, CutAfter: cut, CutError: errNet}
					faults, _ := plan(OpGet, broken, Fault{Before: errNet}, broken)
					store := retryOver(faults)
					if err := store.Put(t.Context(), "k", bytes.NewReader(data)); err != nil {
						t.Fatal(err)
					}
					want := data[r.off:]
					if r.length > 0 {
						want = want[:min(r.length, int64(len(want)))]
					}
					if got, err := readAll(t, store, "k", r.off, r.length); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("read %d bytes, want %d: %v", len(got), len(want), err)
					}
				})
			})
		}
	}
}

func TestStreamThatNeverMovesGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := retryOver(func(call Call) Fault { return Fault{Cut: call.Op == OpGet, CutError: errNet} })
		if err := store.Put(t.Context(), "k", strings.NewReader("data")); err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(t, store, "k", 0, -1); !errors.Is(err, errNet) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestRetriedListingRepeatsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := Fault{Cut: true, CutAfter: 2, CutError: errNet}
		faults, _ := plan(OpList, Fault{Cut: true, CutError: errNet}, broken, broken)
		store := retryOver(faults)
		want := []string{"a", "b", "c", "d", "e", "f"}
		for _, key := range want {
			if err := store.Put(t.Context(), key, strings.NewReader("v")); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		err := store.List(t.Context(), "", "", func(o Object) bool { got = append(got, o.Key); return true })
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("listed %q: %v", got, err)
		}
	})
}
