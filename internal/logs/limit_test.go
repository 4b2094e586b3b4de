package logs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

type written struct {
	bytes.Buffer
	limit *Limit
	log   slog.Handler
	now   time.Time
}

func newWritten(each int) *written {
	w := &written{limit: NewLimit(each), now: time.Unix(1000, 0)}
	w.log = w.limit.Handler(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return w
}

func (w *written) say(h slog.Handler, level slog.Level, message string, n int) {
	r := slog.NewRecord(w.now, level, message, 0)
	r.Add("n", n)
	_ = h.Handle(context.Background(), r)
}

func (w *written) lines() int { return strings.Count(w.String(), "\n") }

// TestLimit: the same line passes so many times a minute, others are not affected, and the next
// line says how many are missing.
func TestLimit(t *testing.T) {
	w := newWritten(3)
	for n := range 10 {
		w.say(w.log, slog.LevelWarn, "a", n)
		w.say(w.log.WithAttrs([]slog.Attr{slog.String("part", "x")}), slog.LevelInfo, "b", n)
	}
	if n, lost := w.lines(), testutil.ToFloat64(w.limit); n != 6 || lost != 14 {
		t.Errorf("%d lines, %v lost:\n%s", n, lost, w)
	}
	w.Reset()
	w.now = w.now.Add(time.Minute)
	w.say(w.log, slog.LevelWarn, "a", 10)
	w.say(w.log, slog.LevelWarn, "a", 11)
	if n := w.lines(); n != 2 || strings.Count(w.String(), "repeats_not_logged=7") != 1 {
		t.Errorf("after a minute: %s", w)
	}
}

// TestLimitSparesAuditAndDebug: the audit log is whole, and who asks for debug lines gets them.
func TestLimitSparesAuditAndDebug(t *testing.T) {
	w := newWritten(1)
	audit := w.log.WithAttrs([]slog.Attr{slog.String("part", "audit")}).WithAttrs([]slog.Attr{slog.Int("x", 1)})
	for n := range 5 {
		w.say(audit, slog.LevelInfo, "denied", n)
		w.say(w.log, slog.LevelDebug, "detail", n)
	}
	if w.lines() != 10 {
		t.Errorf("%s", w)
	}
	off := newWritten(0)
	for n := range 5 {
		off.say(off.log, slog.LevelError, "a", n)
	}
	if off.lines() != 5 {
		t.Errorf("without a limit: %s", off)
	}
}

// TestLimitIsBounded: texts that are always new don't fill the memory, and pass no more often than
// one line does once there are too many.
func TestLimitIsBounded(t *testing.T) {
	w := newWritten(2)
	for n := range mostLines * 2 {
		w.say(w.log, slog.LevelInfo, fmt.Sprint("text ", n), n)
	}
	if n := len(w.limit.mu.by); n > mostLines+1 {
		t.Errorf("%d lines are remembered", n)
	}
	if n := w.lines(); n != mostLines+2 {
		t.Errorf("%d lines", n)
	}
	w.now = w.now.Add(time.Hour)
	w.Reset()
	w.say(w.log, slog.LevelInfo, "new", 1)
	if w.lines() != 1 || len(w.limit.mu.by) > 2 {
		t.Errorf("old lines stay: %d", len(w.limit.mu.by))
	}
}
