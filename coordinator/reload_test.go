package coordinator

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"varve/metadata"
)

// mender is a tally that stores something as soon as it is loaded, as a group does whose
// offsets an earlier version wrote, or of which a crash left an empty shard.
type mender struct{ *tally }

func (m mender) Step(now time.Time, e Event) []Effect {
	if _, ok := e.(Loaded); ok {
		m.again = true
	}
	return m.tally.Step(now, e)
}

// openMenders opens a coordinator of one mender whose slot another agent has taken over.
func openMenders(t *testing.T) (*Coordinator, Kind) {
	t.Helper()
	store := metadata.NewMemory().Open()
	log := slog.New(slog.DiscardHandler)
	writer := metadata.NewWriter(store, metadata.DefaultWriterConfig(), log, nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = writer.Close(ctx)
		_ = store.Close()
	})
	put := func(key, value string) metadata.Revision {
		rev, err := store.Txn(t.Context(), nil, metadata.Put(key, []byte(value)))
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	guard := metadata.Guard{Key: guardKey, Mod: put(guardKey, "ours")}
	put(prefix+"a", "5")
	put(guardKey, "theirs") // this agent has not heard of it
	kind := tallies()
	load := kind.Load
	kind.Load = func(key string, stored []metadata.KV) (Machine, bool, error) {
		m, _, err := load(key, stored)
		if err != nil {
			return nil, false, err
		}
		return mender{m.(*tally)}, true, nil
	}
	cfg := Config{ReadTimeout: time.Second, RereadAfter: time.Hour, UnloadAfter: 10 * time.Minute, StoreBytesPerSecond: 4 << 20}
	c := Open(cfg, kind, store, writer, log)
	c.OwnSlots(map[int]metadata.Guard{SlotOf("a"): guard})
	return c, kind
}

// A machine that has something to store whenever it is loaded doesn't keep the metadata store
// busy while its slot is another's and this agent doesn't know.
func TestReplacedOwnerLeavesTheStoreAlone(t *testing.T) {
	c, kind := openMenders(t)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		c.Close(ctx)
	}()
	w := &world{t: t}
	time.Sleep(500 * time.Millisecond)
	if n := w.value(kind.Metrics.StoreFailures); n > 20 {
		t.Errorf("%v writes were refused within half a second, each after a reading", n)
	}
}

// A slot that is another's is released at once: nothing of it can be stored any more.
func TestReplacedOwnerReleasesAtOnce(t *testing.T) {
	c, kind := openMenders(t)
	w := &world{t: t}
	for w.value(kind.Metrics.StoreFailures) == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	c.ReleaseSlot(ctx, SlotOf("a"))
	if ctx.Err() != nil {
		t.Errorf("it was released only when its time was over, after %v refused writes", w.value(kind.Metrics.StoreFailures))
	}
	c.Close(ctx)
}
