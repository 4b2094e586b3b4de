package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// history is what happened, in order, with a hash over all of it.
type history struct {
	mu    sync.Mutex
	began time.Time
	sum   hash.Hash
	lines int
	tail  []string
	keep  int
	level slog.Level
}

func newHistory(keep int, level slog.Level) *history {
	return &history{began: time.Now(), sum: sha256.New(), keep: keep, level: level}
}

func (h *history) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := fmt.Sprintf("%12.6f ", time.Since(h.began).Seconds()) + fmt.Sprintf(format, args...)
	h.sum.Write([]byte(line))
	h.sum.Write([]byte{'\n'})
	h.lines++
	h.tail = append(h.tail, line)
	if len(h.tail) > 2*h.keep {
		h.tail = append(h.tail[:0], h.tail[len(h.tail)-h.keep:]...)
	}
}

func (h *history) hash() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("%s over %d lines", hex.EncodeToString(h.sum.Sum(nil)[:8]), h.lines)
}

// last is the end of the history, at most n lines.
func (h *history) last(n int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.tail[max(0, len(h.tail)-n):], "\n")
}

// logs makes an agent's log a part of the history.
type logs struct {
	h  *history
	at node
}

func (l *logs) Enabled(_ context.Context, level slog.Level) bool { return level >= l.h.level }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logs) WithGroup(string) slog.Handler                    { return l }

func (l *logs) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	l.h.add("agent %d: %s %s%s", l.at, r.Level, r.Message, b.String())
	return nil
}
