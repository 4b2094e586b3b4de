package s3store

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	testRequest = 10 * time.Second
	testStall   = 3 * time.Second
)

func boundedOver(faults Faults) Store {
	return WithDeadline(WithFaults(NewMemory(), faults), testRequest, testStall)
}

// sizedBody claims a size without having it.
type sizedBody struct {
	*strings.Reader
	size int64
}

func (b sizedBody) Size() int64 { return b.size }

func TestDeadlineEndsSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := boundedOver(func(Call) Fault { return Fault{Delay: time.Hour} })
		ctx := t.Context()
		for name, c := range map[string]struct {
			limit time.Duration
			call  func() error
		}{
			"put":           {testRequest, func() error { return store.Put(ctx, "k", strings.NewReader("")) }},
			"put 1 MiB":     {testRequest + 4*time.Second, func() error { return store.Put(ctx, "k", sizedBody{nil, 1 << 20}) }},
			"put if absent": {testRequest, func() error { return store.PutIfAbsent(ctx, "k", strings.NewReader("")) }},
			"get":           {testRequest, func() error { _, err := store.Get(ctx, "k", 0, -1); return err }},
			"head":          {testRequest, func() error { _, err := store.Head(ctx, "k"); return err }},
			"list":          {testRequest, func() error { return store.List(ctx, "", "", func(Object) bool { return true }) }},
			"delete":        {testRequest, func() error { return store.Delete(ctx, []string{"k"}) }},
			"delete many":   {3 * testRequest, func() error { return store.Delete(ctx, make([]string, 2000)) }},
		} {
			began := time.Now()
			err := c.call()
			if !errors.Is(err, ErrTimeout) || !Transient(err) {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took != c.limit {
				t.Errorf("%s took %s, want %s", name, took, c.limit)
			}
		}
	})
}

func TestDeadlineLeavesTheCallersOwnAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := boundedOver(func(Call) Fault { return Fault{Delay: time.Hour} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := store.Head(ctx, "k")
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrTimeout) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestStalledStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := boundedOver(func(call Call) Fault { return Fault{Cut: call.Op == OpGet, CutAfter: 4} })
		if err := store.Put(t.Context(), "k", strings.NewReader("some data")); err != nil {
			t.Fatal(err)
		}
		body, err := store.Get(t.Context(), "k", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		first := make([]byte, 4)
		if _, err := io.ReadFull(body, first); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // a slow reader is no slow store
		began := time.Now()
		if _, err := body.Read(first); !errors.Is(err, ErrTimeout) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took != testStall {
			t.Fatalf("took %s", took)
		}
	})
}

func TestSlowReaderOfAListingIsNoSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := boundedOver(func(Call) Fault { return Fault{} })
		for _, key := range []string{"a", "b", "c"} {
			if err := store.Put(t.Context(), key, strings.NewReader("v")); err != nil {
				t.Fatal(err)
			}
		}
		seen := 0
		err := store.List(t.Context(), "", "", func(Object) bool { seen++; time.Sleep(time.Hour); return true })
		if err != nil || seen != 3 {
			t.Fatalf("%d keys: %v", seen, err)
		}
	})
}

func TestStallIsRetriedFromWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults, _ := plan(OpGet, Fault{Cut: true, CutAfter: 4}, Fault{Delay: time.Hour})
		store := WithRetry(boundedOver(faults), DefaultRetryPolicy(), silent)
		if err := store.Put(t.Context(), "k", strings.NewReader("some data")); err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(t, store, "k", 0, -1); err != nil || string(got) != "some data" {
			t.Fatalf("%q: %v", got, err)
		}
	})
}
