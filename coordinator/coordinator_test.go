package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/metadata"
	"varve/metadata/schema"
)

// world is a coordinator of tallies over a memory store, in a bubble of fake time.
type world struct {
	*Coordinator
	t      *testing.T
	memory *metadata.Memory
	store  *metadata.MemoryStore
	writer *metadata.Writer
	reader *countingReader
}

// countingReader counts how often keys are read, and lets reads wait while the gate's token is
// away. The key that tells whether the store is there passes.
type countingReader struct {
	Reader
	gets atomic.Int64
	gate chan struct{} // has one token
}

func (r *countingReader) Get(ctx context.Context, key string) (metadata.KV, error) {
	if key != schema.KeyCluster {
		r.gate <- <-r.gate
		r.gets.Add(1)
	}
	return r.Reader.Get(ctx, key)
}

// inBubble runs a test with a coordinator that owns all slots under one guard.
func inBubble(t *testing.T, f func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, memory: metadata.NewMemory()}
		w.store = w.memory.Open()
		w.reader = &countingReader{Reader: w.store, gate: make(chan struct{}, 1)}
		w.reader.gate <- struct{}{}
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
	w.Coordinator = Open(cfg, tallies(), w.reader, w.writer, log)
	guard := metadata.Guard{Key: guardKey, Mod: w.put(guardKey, "ours")}
	all := map[int]metadata.Guard{}
	for n := range Slots {
		all[n] = guard
	}
	w.OwnSlots(all)
	synctest.Wait()
	w.reader.gets.Store(0)
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

// A machine that asks to be woken without end takes a slot's time from no other.
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

// A machine that wasn't woken just now is woken when it asked to be, to the nanosecond.
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
// asked for; one that was never stored leaves for good, and is no longer counted.
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
		w.reader.gets.Store(0)
		time.Sleep(24 * time.Hour)
		if n := w.reader.gets.Load(); n < 20 || n > 25 { // one of them of "good"
			t.Errorf("it was read %d times in a day, want once an hour", n)
		}
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

// A machine that expires again as soon as it is out of memory is not loaded all the time,
// and one that never expires not at all.
func TestExpiredMachinesAreLoadedRarely(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.wantAdd("stale", 1, 1)
		w.wantAdd("lasting", 1, 1)
		time.Sleep(w.cfg.UnloadAfter + time.Second/2)
		if in, _ := w.inMemory("lasting"); in || w.reader.gets.Load() > 0 {
			t.Fatalf("in memory: %v, %d reads", in, w.reader.gets.Load())
		}
		time.Sleep(time.Minute)
		if n := w.reader.gets.Load(); n < 30 || n > 60 {
			t.Errorf("%d reads in a minute, want one a second", n)
		}
	})
}

// Those who ask at the same time share a question, that began after all of them asked.
func TestConfirmationsAreShared(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, confirm, err := Look(t.Context(), w.Coordinator, "a", func(m *tally) int { return m.sum })
		if err != nil {
			t.Fatal(err)
		}
		token := <-w.reader.gate
		var all sync.WaitGroup
		ask := func() {
			if err := confirm(t.Context()); err != nil {
				t.Errorf("confirm: %v", err)
			}
		}
		all.Go(ask)
		synctest.Wait() // the first question is under way
		for range 50 {
			all.Go(ask)
		}
		synctest.Wait()
		w.reader.gate <- token
		all.Wait()
		if n := w.reader.gets.Load(); n != 2 {
			t.Errorf("%d questions", n)
		}
	})
}

// What machines write is bounded in bytes a second, beyond a first transaction.
func TestWritesKeepPace(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.pace.SetLimit(100)
		w.pace.SetBurst(metadata.MaxTxnBytes)
		w.pace.AllowN(time.Now(), metadata.MaxTxnBytes)
		begun, n := time.Now(), 0
		for ; time.Since(begun) < time.Minute; n++ {
			w.wantAdd("a", 1, n+1)
		}
		size := len(prefix+"a") + 3
		if most := 60 * 100 / (size - 2); n > most+1 || n < 60*100/size {
			t.Errorf("%d writes of %d bytes in a minute at 100 a second", n, size)
		}
	})
}
