package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"varve/kafka"
)

// topic is a Sink in memory.
type topic struct {
	mu      sync.Mutex
	fail    error         // of all attempts
	hang    chan struct{} // attempts wait until it is closed
	unsaid  int           // attempts that store, and fail all the same
	largest int           // bytes of a batch; 0: any
	lines   []string
	keys    map[string]bool
	batches []int // lines of each that was stored
	tries   int
}

func (s *topic) Store(ctx context.Context, b kafka.Batch) error {
	s.mu.Lock()
	hang := s.hang
	s.tries++
	s.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.largest > 0 && len(b) > s.largest {
		return fmt.Errorf("%w: too large", ErrRefused)
	}
	if err := b.Validate(); err != nil {
		return err
	}
	s.batches = append(s.batches, int(b.Count()))
	err := b.Records(len(b), func(r *kafka.Record) error {
		s.lines = append(s.lines, string(r.Value))
		s.keys[string(r.Key)] = true
		return nil
	})
	if s.unsaid > 0 {
		s.unsaid--
		return errors.New("the answer was lost")
	}
	return err
}

func (s *topic) set(change func(*topic)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// messages returns what the lines say.
func (s *topic) messages(t *testing.T) (all []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		var v struct{ Msg, Part string }
		if err := json.Unmarshal([]byte(l), &v); err != nil || v.Part != "audit" {
			t.Errorf("line %q, %v", l, err)
		}
		all = append(all, v.Msg)
	}
	return all
}

// withTrail runs a trail in a bubble. log is the audit log.
func withTrail(t *testing.T, do func(t *testing.T, tr *Trail, s *topic, log *slog.Logger, said *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		tr := New(Options{Key: []byte("7"), Now: time.Now, Log: slog.New(slog.NewTextHandler(&said, nil))})
		s := &topic{keys: map[string]bool{}}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { tr.Run(ctx, s, nil) })
		do(t, tr, s, slog.New(tr.Handler()).With("part", "audit"), &said)
		cancel()
		wg.Wait()
	})
}

func numbered(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("line ", i))
	}
	return all
}

// Lines are in the topic within gatherFor, in order, as JSON with the log's keys, in batches.
func TestLinesAreWritten(t *testing.T) {
	withTrail(t, func(t *testing.T, tr *Trail, s *topic, log *slog.Logger, _ *bytes.Buffer) {
		log.Debug("not of this")
		log.Info("settings changed", "name", "t", "n", 3, "err", errors.New("why"), "by", stringer(9), slog.Group("client", "addr", "10.0.0.1:5"))
		time.Sleep(gatherFor)
		synctest.Wait()
		want := `"level":"INFO","msg":"settings changed","part":"audit","name":"t","n":3,"err":"why","by":"nine","client":{"addr":"10.0.0.1:5"}}`
		if len(s.lines) != 1 || !strings.HasSuffix(s.lines[0], want) || !strings.HasPrefix(s.lines[0], `{"time":"`) || !s.keys["7"] || len(s.keys) != 1 {
			t.Errorf("%q, keys %v", s.lines, s.keys)
		}
		s.set(func(s *topic) { s.lines, s.batches = nil, nil })
		for _, l := range numbered(2500) {
			log.Warn(l)
		}
		if left := tr.Flush(t.Context()); left != 0 {
			t.Errorf("%d are left", left)
		}
		synctest.Wait()
		if got := s.messages(t); !slices.Equal(got, numbered(2500)) {
			t.Errorf("%d lines, or in another order", len(got))
		}
		if !slices.Equal(s.batches, []int{1000, 1000, 500}) {
			t.Errorf("batches of %v", s.batches)
		}
		if got := testutil.ToFloat64(tr.metrics.written); got != 2501 {
			t.Errorf("%v counted", got)
		}
	})
}

type stringer int

func (s stringer) String() string { return "nine" }

// Lines that a batch has no room for come in the next one; a batch is bounded in bytes, too.
func TestBatchesAreBounded(t *testing.T) {
	withTrail(t, func(t *testing.T, tr *Trail, s *topic, log *slog.Logger, _ *bytes.Buffer) {
		long := strings.Repeat("x", batchBytes/4)
		for range 8 {
			log.Info(long)
		}
		log.Info(long + long + long + long + long)
		tr.Flush(t.Context())
		synctest.Wait()
		if !slices.Equal(s.batches, []int{3, 3, 2, 1}) {
			t.Errorf("batches of %v", s.batches)
		}
	})
}

// While the topic can't be written, lines are kept up to a bound and logging never waits. Later
// all that were kept are written, in order, and the topic shows that some are missing.
func TestQueueIsBounded(t *testing.T) {
	withTrail(t, func(t *testing.T, tr *Trail, s *topic, log *slog.Logger, said *bytes.Buffer) {
		s.set(func(s *topic) { s.fail = errors.New("no owner") })
		long := strings.Repeat("x", 10<<10)
		n := queueBytes/len(long) + 100
		began := time.Now()
		for i := range n {
			log.Info(fmt.Sprint("line ", i), "long", long)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("logging waited for %v", took)
		}
		kept := tr.queue.len()
		dropped := testutil.ToFloat64(tr.metrics.dropped)
		if tr.queue.mu.bytes > queueBytes || tr.queue.mu.bytes < queueBytes-2*len(long) || int(dropped) != n-kept {
			t.Errorf("%d lines of %d are kept, with %d bytes; %v were dropped", kept, n, tr.queue.mu.bytes, dropped)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Count(said.String(), "audit topic can't be written"); got != 1 {
			t.Errorf("said %d times: %s", got, said)
		}
		if s.tries < 20 || s.tries > 60 {
			t.Errorf("%d attempts in a minute", s.tries)
		}
		s.set(func(s *topic) { s.fail = nil })
		tr.Flush(t.Context())
		synctest.Wait()
		time.Sleep(time.Second)
		tr.Flush(t.Context())
		synctest.Wait()
		want := append(numbered(kept), "audit lines are missing in the topic, there was no room for them")
		if got := s.messages(t); !slices.Equal(got, want) {
			t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
		}
		if last := s.lines[len(s.lines)-1]; !strings.Contains(last, fmt.Sprintf(`"lines":%d`, n-kept)) {
			t.Errorf("the last line: %s", last)
		}
		if !strings.Contains(said.String(), "audit topic is written again") {
			t.Errorf("said %s", said)
		}
		if tr.queue.mu.bytes != 0 {
			t.Errorf("%d bytes are counted in an empty queue", tr.queue.mu.bytes)
		}
	})
}

// A batch whose outcome isn't known is stored again: no line is lost, and the first of each are in
// order. An attempt that hangs ends.
func TestAtLeastOnce(t *testing.T) {
	withTrail(t, func(t *testing.T, tr *Trail, s *topic, log *slog.Logger, _ *bytes.Buffer) {
		s.set(func(s *topic) { s.unsaid, s.hang = 2, make(chan struct{}) })
		for _, l := range numbered(1500) {
			log.Info(l)
		}
		time.Sleep(storePatience + 5*time.Second)
		s.set(func(s *topic) {
			if s.tries < 2 {
				t.Errorf("%d attempts", s.tries)
			}
			close(s.hang)
		})
		tr.Flush(t.Context())
		synctest.Wait()
		var first []string
		seen := map[string]int{}
		for _, m := range s.messages(t) {
			if seen[m]++; seen[m] == 1 {
				first = append(first, m)
			}
		}
		if !slices.Equal(first, numbered(1500)) || seen["line 0"] < 3 || seen["line 1499"] != 1 {
			t.Errorf("%d lines, or in another order; the first is there %d times", len(first), seen["line 0"])
		}
	})
}

// Batches that the topic refuses are stored in parts. Only a line that doesn't fit on its own is dropped.
func TestRefusedBatches(t *testing.T) {
	withTrail(t, func(t *testing.T, tr *Trail, s *topic, log *slog.Logger, said *bytes.Buffer) {
		s.set(func(s *topic) { s.largest = 4 << 10 })
		var want []string
		for i, l := range numbered(300) {
			if i == 100 || i == 200 {
				log.Info("too long", "x", strings.Repeat("x", 5<<10))
			}
			log.Info(l)
			want = append(want, l)
		}
		tr.Flush(t.Context())
		synctest.Wait()
		if got := s.messages(t); !slices.Equal(got, want) {
			t.Errorf("%d lines, or in another order", len(got))
		}
		if got := testutil.ToFloat64(tr.metrics.dropped); got != 2 {
			t.Errorf("%v dropped", got)
		}
		if got := strings.Count(said.String(), "audit topic doesn't accept a line"); got != 2 {
			t.Errorf("said %d times", got)
		}
	})
}

// Flush returns when its time is over, and how many lines are left; Run ends while it tries.
func TestFlushGivesUp(t *testing.T) {
	withTrail(t, func(t *testing.T, tr *Trail, s *topic, log *slog.Logger, _ *bytes.Buffer) {
		s.set(func(s *topic) { s.fail = io.ErrUnexpectedEOF })
		log.Info("one")
		log.Info("two")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if left := tr.Flush(ctx); left != 2 {
			t.Errorf("%d are left", left)
		}
	})
}

// Many log at the same time: every line is whole, and there once.
func TestManyLog(t *testing.T) {
	tr := New(Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	s := &topic{keys: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	var run, logs sync.WaitGroup
	run.Go(func() { tr.Run(ctx, s, nil) })
	for i := range 8 {
		log := slog.New(tr.Handler()).With("part", "audit")
		logs.Go(func() {
			for k := range 500 {
				log.Info(fmt.Sprint(i, "-", k))
			}
		})
	}
	logs.Wait()
	tr.Flush(t.Context())
	cancel()
	run.Wait()
	got := s.messages(t)
	slices.Sort(got)
	if n := len(got); n != 4000 || len(slices.Compact(got)) != n {
		t.Errorf("%d lines", n)
	}
}
