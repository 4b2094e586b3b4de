package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/metadata"
)

// world is a coordinator of tallies over a memory store, in a bubble of fake time.
type world struct {
	*Coordinator
	t      *testing.T
	memory *metadata.Memory
	store  *metadata.MemoryStore
	writer *metadata.Writer
}

// inBubble runs a test with a coordinator that owns all slots under one guard.
func inBubble(t *testing.T, f func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, memory: metadata.NewMemory()}
		w.store = w.memory.Open()
		w.start()
		defer func() {
			w.stop()
			if err := w.store.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, w)
	})
}

const guardKey = "guard"

func (w *world) start() {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	w.writer = metadata.NewWriter(w.store, metadata.DefaultWriterConfig(), log, nil)
	cfg := Config{ReadTimeout: time.Second, RereadAfter: time.Hour, UnloadAfter: 10 * time.Minute, StoreBytesPerSecond: 1 << 20}
	w.Coordinator = Open(cfg, tallies(), w.store, w.writer, log)
	guard := metadata.Guard{Key: guardKey, Mod: w.put(guardKey, "ours")}
	all := map[int]metadata.Guard{}
	for n := range Slots {
		all[n] = guard
	}
	w.OwnSlots(all)
	synctest.Wait()
}

func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	w.Close(ctx)
	if err := w.writer.Close(ctx); err != nil && ctx.Err() == nil {
		w.t.Error(err)
	}
}

func (w *world) put(key, value string) metadata.Revision {
	w.t.Helper()
	rev, err := w.store.Txn(w.t.Context(), nil, metadata.Put(key, []byte(value)))
	if err != nil {
		w.t.Fatal(err)
	}
	return rev
}

// add adds to a tally and returns the sum.
func (w *world) add(key string, n int) (int, error) {
	r, err := Ask[answered](w.t.Context(), w.Coordinator, key, func(t Ticket) Event { return add{t, n} })
	if err != nil {
		return 0, err
	}
	if err, failed := r.a.(error); failed {
		return 0, err
	}
	return r.a.(int), nil
}

func (w *world) wantAdd(key string, n, sum int) {
	w.t.Helper()
	if got, err := w.add(key, n); got != sum || err != nil {
		w.t.Fatalf("%s is %d, %v, want %d", key, got, err, sum)
	}
}

func (w *world) wantErr(key string, want error) {
	w.t.Helper()
	if _, err := w.add(key, 1); !errors.Is(err, want) {
		w.t.Fatalf("%s: %v, want %v", key, err, want)
	}
}

// inMemory reports whether a tally is in memory, and shows its sum.
func (w *world) inMemory(key string) (in bool, sum int) {
	w.t.Helper()
	sums, err := Survey(w.t.Context(), w.Coordinator, func(k string, m Machine, summary any) (int, bool) {
		if k != key {
			return 0, false
		}
		if in = m != nil; in {
			return m.(*tally).sum, true
		}
		return summary.(int), true
	})
	if err != nil || len(sums) != 1 {
		w.t.Fatalf("%s is known %d times, %v", key, len(sums), err)
	}
	return in, sums[0]
}

// value returns what a metric counts.
func (w *world) value(c prometheus.Collector) (sum float64) {
	w.t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// A machine that wants to be woken without end takes a slot's time from no other.
func TestRestiveMachineLeavesRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		quiet := "quiet"
		restive := "restive"
		for n := 0; SlotOf(restive) != SlotOf(quiet); n++ {
			restive = "restive" + string(rune('a'+n))
		}
		if err := w.Tell(t.Context(), restive, rouse{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.wantAdd(quiet, 1, 1)
		ticks, _, err := Look(t.Context(), w.Coordinator, restive, func(m *tally) int { return m.ticks })
		if most := int(time.Second/wakeGap) + 1; err != nil || ticks < most/2 || ticks > most {
			t.Errorf("it was woken %d times in a second, want %d; %v", ticks, most, err)
		}
	})
}

// A machine that wasn't woken just now is woken when it wants, to the nanosecond.
func TestFirstWakeIsPunctual(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		begun := time.Now()
		if err := w.Tell(t.Context(), "a", rouse{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ticks, _, err := Look(t.Context(), w.Coordinator, "a", func(m *tally) int { return m.ticks })
		if err != nil || ticks != 1 || time.Since(begun) != 0 {
			t.Errorf("woken %d times after %v, %v", ticks, time.Since(begun), err)
		}
	})
}

// What another agent wrote is not written over: the machine is loaded anew.
func TestConflictLoadsAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.wantAdd("a", 5, 5)
		w.put(prefix+"a", "70")
		w.wantErr("a", ErrNotCoordinator)
		w.wantAdd("a", 1, 71)
		if n := w.value(w.kind.Metrics.StoreFailures); n != 1 {
			t.Errorf("%v failures are counted", n)
		}
	})
}

// An agent that was replaced and doesn't know it stores nothing, and confirms nothing.
func TestReplacedOwnerStoresNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.wantAdd("a", 5, 5)
		_, confirm, err := Look(t.Context(), w.Coordinator, "a", func(m *tally) int { return m.sum })
		if err = errors.Join(err, confirm(t.Context())); err != nil {
			t.Fatalf("the owner can't confirm: %v", err)
		}
		w.put(guardKey, "another's")
		w.wantErr("a", ErrNotCoordinator)
		w.wantErr("new", ErrNotCoordinator)
		if err := confirm(t.Context()); !errors.Is(err, ErrNotCoordinator) {
			t.Errorf("confirmed: %v", err)
		}
		if kv, err := w.store.Get(t.Context(), prefix+"a"); string(kv.Value) != "5" || err != nil {
			t.Errorf("stored is %q, %v", kv.Value, err)
		}
	})
}

// Idle machines leave memory, are shown by their summaries, and come back when they are
// asked for; one that was never stored leaves for good, and is counted no more.
func TestIdleMachinesLeaveMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.wantAdd("a", 5, 5)
		if in, _ := w.inMemory("a"); !in || w.Size() != 5 {
			t.Fatalf("in memory: %v, size %d", in, w.Size())
		}
		time.Sleep(w.cfg.UnloadAfter + time.Second)
		if in, sum := w.inMemory("a"); in || sum != 5 || w.Size() != 0 {
			t.Fatalf("in memory: %v, summary %d, size %d", in, sum, w.Size())
		}
		w.wantAdd("a", 1, 6)
		if _, _, err := Look(t.Context(), w.Coordinator, "new", func(m *tally) int { return m.sum }); err != nil {
			t.Fatal(err)
		}
		if n := w.value(w.kind.Metrics.Loaded); n != 1 {
			t.Errorf("%v are in memory", n)
		}
		time.Sleep(w.cfg.UnloadAfter + 25*time.Hour) // it expires, is loaded, and unloaded again
		if in, sum := w.inMemory("a"); in || sum != 6 {
			t.Errorf("in memory: %v, summary %d", in, sum)
		}
	})
}

// After a restart a machine goes on with what was stored; one whose value can't be decoded
// is shown as such, costs no other, and comes back once it is mended.
func TestUnreadableMachineCostsNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.wantAdd("good", 5, 5)
		w.stop()
		w.put(prefix+"broken", "bad")
		w.start()
		w.wantErr("broken", ErrLoading)
		if in, sum := w.inMemory("broken"); in || sum != -1 {
			t.Errorf("in memory: %v, summary %d", in, sum)
		}
		if n := w.value(w.kind.Metrics.Machines.WithLabelValues("Unread")); n != 1 {
			t.Errorf("%v are counted as unread", n)
		}
		w.wantAdd("good", 1, 6)
		w.put(prefix+"broken", "3")
		w.wantAdd("broken", 1, 4)
	})
}

// While the store is away requests are answered; what was accepted is stored when it is back,
// also that of a machine that came into memory meanwhile.
func TestStoreAway(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.wantAdd("a", 5, 5)
		w.memory.SetAvailable(false)
		w.wantErr("a", ErrAway)
		w.wantErr("new", ErrAway)
		w.memory.SetAvailable(true)
		time.Sleep(probeEvery + 5*time.Second)
		w.wantAdd("a", 1, 7)
		w.wantAdd("new", 1, 2)
	})
}

// A slot that is given up answers what waits, and stores what it accepted first.
func TestReleasedSlotAnswersAndStores(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.wantAdd("a", 5, 5)
		w.ReleaseSlot(t.Context(), SlotOf("a"))
		w.wantErr("a", ErrNotCoordinator)
		if w.Owns("a") {
			t.Error("it is owned")
		}
		w.memory.SetAvailable(false)
		answer := make(chan error)
		go func() {
			_, err := w.add("b", 1)
			answer <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		w.ReleaseSlot(ctx, SlotOf("b"))
		if err := <-answer; !errors.Is(err, ErrNotCoordinator) && !errors.Is(err, ErrUnavailable) {
			t.Errorf("answered %v", err)
		}
		w.memory.SetAvailable(true)
		if kv, err := w.store.Get(t.Context(), prefix+"a"); string(kv.Value) != "5" || err != nil {
			t.Errorf("stored is %q, %v", kv.Value, err)
		}
	})
}
