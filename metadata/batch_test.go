package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"varve/metadata"
)

// gated is a Store whose transactions wait for the test, which sees them.
type gated struct {
	metadata.Store
	began chan []metadata.Op
	grant chan struct{}
}

func newGated(s metadata.Store) *gated {
	return &gated{Store: s, began: make(chan []metadata.Op, 100), grant: make(chan struct{}, 100)}
}

func (g *gated) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	g.began <- ops
	select {
	case <-g.grant:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return g.Store.Txn(ctx, guards, ops...)
}

func writer(t *testing.T, s metadata.Store, change func(*metadata.WriterConfig)) *metadata.Writer {
	cfg := metadata.DefaultWriterConfig()
	if change != nil {
		change(&cfg)
	}
	return metadata.NewWriter(s, cfg, testLogger(t), nil)
}

func closeWriter(t *testing.T, w *metadata.Writer) {
	t.Helper()
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// writing starts a Write and returns where its error will be.
func writing(w *metadata.Writer, guards []metadata.Guard, ops ...metadata.Op) <-chan error {
	out := make(chan error, 1)
	go func() {
		_, err := w.Write(context.Background(), guards, ops...)
		out <- err
	}()
	synctest.Wait() // so that writes come in the order in which they were started
	return out
}

func keysOf(ops []metadata.Op) string {
	var keys []string
	for _, o := range ops {
		keys = append(keys, o.Key+"="+string(o.Value))
	}
	return strings.Join(keys, " ")
}

func op(key, value string) metadata.Op { return metadata.Put(key, []byte(value)) }

func wantNoErr(t *testing.T, errs ...<-chan error) {
	t.Helper()
	for i, e := range errs {
		if err := <-e; err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
}

// While a transaction is under way the next gathers; keys keep their order.
func TestWriterGathers(t *testing.T) {
	bubble(t, func(t *testing.T, _ *metadata.Memory, a, _ *metadata.MemoryStore) {
		g := newGated(a)
		w := writer(t, g, func(c *metadata.WriterConfig) { c.MaxInFlight = 1 })
		defer closeWriter(t, w)
		errs := []<-chan error{
			writing(w, nil, op("a", "1")), writing(w, nil, op("b", "1")), writing(w, nil, op("c", "1"), op("d", "1")),
			writing(w, nil, op("b", "2")), writing(w, nil, op("e", "1")), writing(w, nil, op("b", "3"), op("e", "2")),
		}
		for _, want := range []string{"a=1", "b=1 c=1 d=1 e=1", "b=2", "b=3 e=2"} {
			if got := keysOf(<-g.began); got != want {
				t.Fatalf("transaction of %q, want %q", got, want)
			}
			g.grant <- struct{}{}
		}
		wantNoErr(t, errs...)
	})
}

// Several transactions may be under way, but none with a key of another's,
// unless both only guard by it.
func TestWriterInFlight(t *testing.T) {
	bubble(t, func(t *testing.T, _ *metadata.Memory, a, _ *metadata.MemoryStore) {
		owner := put(t, a, "owner", "me")
		guard := []metadata.Guard{{Key: "owner", Mod: owner}}
		g := newGated(a)
		w := writer(t, g, func(c *metadata.WriterConfig) { c.MaxInFlight = 3 })
		defer closeWriter(t, w)
		errs := []<-chan error{
			writing(w, guard, op("a", "1")), writing(w, guard, op("b", "1")), writing(w, guard, op("a", "2")),
			writing(w, nil, op("owner", "you")), writing(w, nil, op("c", "1")), writing(w, nil, op("d", "1")),
		}
		for _, want := range []string{"a=1", "b=1", "c=1"} {
			if got := keysOf(<-g.began); got != want {
				t.Fatalf("transaction of %q, want %q", got, want)
			}
		}
		synctest.Wait()
		if len(g.began) > 0 {
			t.Fatalf("a fourth transaction: %q", keysOf(<-g.began))
		}
		for range 10 {
			g.grant <- struct{}{}
		}
		wantNoErr(t, errs...)
		wantValue(t, a, "a", "2")
		wantValue(t, a, "owner", "you")
	})
}

// A group whose guard fails doesn't take the others of its transaction along.
func TestWriterLoserAlone(t *testing.T) {
	bubble(t, func(t *testing.T, m *metadata.Memory, a, _ *metadata.MemoryStore) {
		mod := put(t, a, "k050", "x")
		g := newGated(a)
		w := writer(t, g, func(c *metadata.WriterConfig) { c.MaxInFlight = 1 })
		defer closeWriter(t, w)
		first := writing(w, nil, op("first", "1"))
		var errs []<-chan error
		for i := range 100 {
			guards := []metadata.Guard{{Key: fmt.Sprintf("k%03d", i)}}
			if i == 70 {
				guards = append(guards, metadata.Guard{Key: "other", Mod: mod})
			}
			errs = append(errs, writing(w, guards, op(guards[0].Key, "1")))
		}
		for range 100 {
			g.grant <- struct{}{}
		}
		wantNoErr(t, first)
		for i, e := range errs {
			err := <-e
			if lose := i == 50 || i == 70; errors.Is(err, metadata.ErrConflict) != lose || !lose && err != nil {
				t.Fatalf("group %d: %v", i, err)
			}
		}
		if n := len(g.began); n > 30 {
			t.Fatalf("%d transactions to find two losers of 100", n)
		}
	})
}

// Two groups that guard one key differently aren't packed: one of them must
// lose, by the order in which they came.
func TestWriterSerialGuards(t *testing.T) {
	bubble(t, func(t *testing.T, _ *metadata.Memory, a, _ *metadata.MemoryStore) {
		g := newGated(a)
		w := writer(t, g, nil)
		defer closeWriter(t, w)
		absent := []metadata.Guard{{Key: "x"}}
		one, two := writing(w, absent, op("x", "1")), writing(w, absent, op("x", "2"))
		g.grant <- struct{}{}
		g.grant <- struct{}{}
		wantNoErr(t, one)
		if err := <-two; !errors.Is(err, metadata.ErrConflict) {
			t.Fatalf("second: %v", err)
		}
		wantValue(t, a, "x", "1")
	})
}

func TestWriterSetCoalesces(t *testing.T) {
	bubble(t, func(t *testing.T, _ *metadata.Memory, a, _ *metadata.MemoryStore) {
		g := newGated(a)
		w := writer(t, g, func(c *metadata.WriterConfig) { c.MaxInFlight = 1 })
		defer closeWriter(t, w)
		busy := writing(w, nil, op("busy", "1"))
		revs := make(chan metadata.Revision, 10)
		set := func(key, value string) {
			err := w.Set(t.Context(), key, []byte(value), func(rev metadata.Revision, err error) {
				if err != nil {
					t.Error(err)
				}
				revs <- rev
			})
			if err != nil {
				t.Error(err)
			}
		}
		set("x", "1")
		set("y", "1")
		set("x", "2")
		write := writing(w, nil, op("y", "2"))
		set("y", "3") // must not move before the write
		for _, want := range []string{"busy=1", "x=2 y=1", "y=2", "y=3"} {
			if got := keysOf(<-g.began); got != want {
				t.Fatalf("transaction of %q, want %q", got, want)
			}
			g.grant <- struct{}{}
		}
		wantNoErr(t, busy, write)
		got := []metadata.Revision{<-revs, <-revs, <-revs, <-revs}
		if got[0] != got[1] || got[1] != got[2] || got[3] <= got[2] {
			t.Fatalf("revisions %v", got)
		}
	})
}

// The queue is bounded: callers wait, and may give up.
func TestWriterBounded(t *testing.T) {
	bubble(t, func(t *testing.T, _ *metadata.Memory, a, _ *metadata.MemoryStore) {
		g := newGated(a)
		w := writer(t, g, func(c *metadata.WriterConfig) { c.MaxQueueGroups, c.MaxInFlight = 2, 1 })
		defer closeWriter(t, w)
		one, two := writing(w, nil, op("a", "1")), writing(w, nil, op("b", "1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.Write(ctx, nil, op("c", "1")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("write into a full queue: %v", err)
		}
		three := writing(w, nil, op("d", "1"))
		for range 3 {
			g.grant <- struct{}{}
		}
		wantNoErr(t, one, two, three)
		if _, err := a.Get(t.Context(), "c"); !errors.Is(err, metadata.ErrNotFound) {
			t.Fatal("what was given up was written")
		}
	})
}

func TestWriterRefusesBadGroups(t *testing.T) {
	bubble(t, func(t *testing.T, _ *metadata.Memory, a, _ *metadata.MemoryStore) {
		w := writer(t, a, nil)
		defer closeWriter(t, w)
		if _, err := w.Write(t.Context(), nil, op("a", "1"), op("a", "2")); err == nil {
			t.Fatal("a key was written twice")
		}
		big := strings.Repeat("x", metadata.MaxTxnBytes)
		if err := w.Set(t.Context(), "a", []byte(big), nil); !errors.Is(err, metadata.ErrTooLarge) {
			t.Fatalf("set: %v", err)
		}
		if _, err := w.Write(t.Context(), []metadata.Guard{{Key: "a", Mod: 9}}); !errors.Is(err, metadata.ErrConflict) {
			t.Fatalf("check: %v", err)
		}
	})
}
