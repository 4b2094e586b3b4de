package upload

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

// Promise 6: while the bucket is away nothing is dropped, it is logged once,
// and all of it is uploaded when it is back.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		var log lockedBuffer
		cfg.log = slog.New(slog.NewTextHandler(&log, nil))
		w := newWorld(t, cfg)
		var down atomic.Bool
		down.Store(true)
		w.Inject(func(c s3store.Call) s3store.Fault {
			if down.Load() {
				return s3store.Fault{Before: tiertest.ErrInjected}
			}
			return s3store.Fault{}
		})
		rng := tiertest.Rand(3)
		s := w.Source(1, 0)
		for range 20 {
			s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 2, 5000, 1), 0, w.Now.Millis())
		}
		flushed := make(chan error, 1)
		w.Start()
		go func() { flushed <- w.upload.Flush(t.Context()) }()
		time.Sleep(10 * time.Minute) // fake time
		select {
		case err := <-flushed:
			t.Fatalf("flush ended in the outage: %v", err)
		default:
		}
		down.Store(false)
		if err := <-flushed; err != nil {
			t.Fatal(err)
		}
		w.CheckHistory(s, 0, 1<<20)
		if n := strings.Count(log.String(), "can't be written"); n != 1 {
			t.Errorf("the outage was logged %d times:\n%s", n, log.String())
		}
		if !strings.Contains(log.String(), "can be written again") || !strings.Contains(log.String(), "waiting_bytes=") {
			t.Errorf("log is %s", log.String())
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// An upload whose answer was lost is not done twice, and another's object under
// our name is never taken for ours.
func TestLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig())
		s := w.Source(1, 0)
		taken := object.Key(schema.Object{Writer: 7, Seq: schema.FirstTimed})
		if err := w.Bucket.Put(t.Context(), taken, strings.NewReader("another's")); err != nil {
			t.Fatal(err)
		}
		lost := map[string]bool{}
		var mu sync.Mutex
		w.Inject(func(c s3store.Call) s3store.Fault {
			mu.Lock()
			defer mu.Unlock()
			if c.Op == s3store.OpPutIfAbsent && c.Key != taken && !lost[c.Key] {
				lost[c.Key] = true
				return s3store.Fault{After: tiertest.ErrInjected}
			}
			return s3store.Fault{}
		})
		for i := range 3 {
			s.Produce(tiertest.RandomBatch(t, tiertest.Rand(uint64(i)), kafka.None, 1, 3000, 1), 0, w.Now.Millis())
			w.Flush()
		}
		if n := len(w.ObjectsIn(object.PrefixData)); n != 4 {
			t.Errorf("%d objects, want 3 and the other's", n)
		}
		w.CheckHistory(s, 0, 100)
		if floor := w.IDs.Floor(); floor != schema.FirstTimed+4 {
			t.Errorf("floor is %d, want %d: everything is settled", floor, uint64(schema.FirstTimed+4))
		}
	})
}

// A crash between any two steps of a commit leaves a head that refers to whole data,
// and what the next owner uploads completes it.
func TestCrashBetweenSteps(t *testing.T) {
	const rounds = 90 // enough for folds
	for crashAt := 1; crashAt < 260; crashAt += 7 {
		t.Run(fmt.Sprint(crashAt), func(t *testing.T) {
			w := newWorld(t, testConfig())
			s := w.Source(1, 0)
			rng := tiertest.Rand(uint64(crashAt))
			var calls atomic.Int64
			dead := make(chan struct{})
			w.Inject(func(c s3store.Call) s3store.Fault {
				switch n := calls.Add(1); {
				case n < int64(crashAt):
					return s3store.Fault{}
				case n == int64(crashAt):
					close(dead)
					if crashAt%2 == 0 {
						return s3store.Fault{After: tiertest.ErrInjected} // it was done, and the caller got an error
					}
				}
				return s3store.Fault{Before: tiertest.ErrInjected}
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-dead; cancel() }()
			w.Start()
			crashed := false
			for range rounds {
				s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 100, 1), 0, w.Now.Millis())
				if crashed = w.upload.Flush(ctx) != nil; crashed {
					break
				}
			}
			if !crashed {
				close(dead)
			}
			w.Cancel()
			w.Inject(nil)
			// The next incarnation owns the partition and has the journal's tail.
			stored, err := schema.GetHead(t.Context(), w.Meta.Open(), s.ID)
			if err != nil {
				t.Fatal(err)
			}
			h := *stored.Head
			h.Owner = 8
			rev, err := w.Heads.Write(t.Context(), stored.Guards(), stored.Ops(&h)...)
			if err != nil {
				t.Fatal(err)
			}
			s.Mu.Head, s.Mu.Stored = &h, stored.Stored(&h, rev)
			w.CheckHistory(s, 0, 1000)
			s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 100, 1), 1, w.Now.Millis())
			next := New(DefaultConfig(), Deps{Store: w.Store, Pages: w.reader, IDs: manifest.NewObjectIDs(8, schema.FirstTimed), Sources: tiertest.List[Source](w.World),
				Topic: func(id.Topic) string { return "" }, Clock: func() int64 { return w.Now.Millis() + 1e6 }, Log: slog.New(slog.DiscardHandler)})
			next.drain(t.Context())
			if n, _ := s.PendingBytes(); n != 0 {
				t.Fatalf("%d bytes wait", n)
			}
			w.CheckHistory(s, 0, 1000)
		})
	}
}

// An object of another size under our name, found after an answer was lost, isn't ours.
func TestTakenAfterLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig())
		s := w.Source(1, 0)
		first := true
		w.Inject(func(c s3store.Call) s3store.Fault {
			if c.Op == s3store.OpPutIfAbsent && first {
				first = false
				if err := w.Bucket.Put(t.Context(), c.Key, strings.NewReader("another's")); err != nil {
					t.Error(err)
				}
				return s3store.Fault{Before: tiertest.ErrInjected}
			}
			return s3store.Fault{}
		})
		s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 3000, 1), 0, w.Now.Millis())
		w.Flush()
		w.CheckHistory(s, 0, 100)
		if o := s.Head().Slices[0].Object; o.Seq != schema.FirstTimed+1 {
			t.Errorf("the object is %v", o)
		}
	})
}
