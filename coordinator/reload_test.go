package coordinator

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
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

// slowReader takes time, so that a machine that is read without a pause doesn't stop the
// bubble's clock.
type slowReader struct{ Reader }

func (r slowReader) Get(ctx context.Context, key string) (metadata.KV, error) {
	time.Sleep(time.Millisecond)
	return r.Reader.Get(ctx, key)
}

// ofMenders runs a test with a coordinator of one mender whose slot another agent has taken
// over; this agent has not heard of it.
func ofMenders(t *testing.T, f func(*testing.T, *world, Kind)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: metadata.NewMemory().Open()}
		log := slog.New(slog.DiscardHandler)
		w.writer = metadata.NewWriter(w.store, metadata.DefaultWriterConfig(), log, nil)
		guard := metadata.Guard{Key: guardKey, Mod: w.put(guardKey, "ours")}
		w.put(prefix+"a", "5")
		w.put(guardKey, "theirs")
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
		w.Coordinator = Open(cfg, kind, slowReader{w.store}, w.writer, log)
		w.OwnSlots(map[int]metadata.Guard{SlotOf("a"): guard})
		synctest.Wait()
		f(t, w, kind)
		w.stop()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A machine that has something to store whenever it is loaded doesn't keep the metadata store
// busy while its slot is another's and this agent doesn't know.
func TestReplacedOwnerLeavesTheStoreAlone(t *testing.T) {
	ofMenders(t, func(t *testing.T, w *world, kind Kind) {
		time.Sleep(10 * time.Second) // of fake time
		if n := w.value(kind.Metrics.StoreFailures); n < 3 || n > 20 {
			t.Errorf("%v writes were refused within ten seconds, each after a read", n)
		}
	})
}

// A slot that is another's is released at once: nothing of it can be stored any more.
func TestReplacedOwnerReleasesAtOnce(t *testing.T) {
	ofMenders(t, func(t *testing.T, w *world, kind Kind) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		w.ReleaseSlot(ctx, SlotOf("a"))
		if ctx.Err() != nil {
			t.Errorf("it was released only when its time was over, after %v refused writes", w.value(kind.Metrics.StoreFailures))
		}
	})
}
