package metadata

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestZapLinesGoToSlog(t *testing.T) {
	var buf bytes.Buffer
	core := newSlogCore(slog.New(slog.NewTextHandler(&buf, nil)))
	log := core.logger().With(zap.String("who", "me"))
	log.Info("dropped")
	log.Warn("simple token is not cryptographically signed")
	log.Warn("slow", zap.Int("ms", 7))
	for range 1000 {
		log.Error("broken")
	}
	core.closing.Store(true)
	log.Error("mux: server closed")
	got := buf.String()
	for _, want := range []string{`level=WARN msg="etcd: slow" ms=7 who=me`, `level=ERROR msg="etcd: broken" who=me`} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 1+logFirst {
		t.Errorf("%d lines, want one and the first of those that repeat:\n%s", n, got)
	}
}
