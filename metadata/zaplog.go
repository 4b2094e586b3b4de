package metadata

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// slogCore sends etcd's log lines of level warn and above to slog. etcd's fatal
// and panic lines end the process after they were written, as zap has it.
type slogCore struct {
	log     *slog.Logger
	fields  []zapcore.Field
	closing *atomic.Bool // etcd stops: its complaints about it are no news
	born    time.Time
}

func newSlogCore(log *slog.Logger) *slogCore {
	return &slogCore{log: log, closing: new(atomic.Bool), born: time.Now()}
}

// etcd repeats some warnings without a pause: thousands of one text within a second. Of each
// text the first logFirst in logTick are logged.
const (
	logTick  = 10 * time.Second
	logFirst = 3
)

// logger returns what etcd logs to.
func (c *slogCore) logger() *zap.Logger {
	return zap.New(zapcore.NewSamplerWithOptions(c, logTick, logFirst, 0))
}

// notices are etcd's warnings about choices that are right here: no one uses
// its HTTP or its passwords.
var notices = map[string]bool{
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"simple token is not cryptographically signed":                                         true,
}

// settling is how long a new member may complain that its database lacks what
// its first snapshot of it brings; it looks again every few seconds, so that a
// lasting fault is seen.
const settling = 3 * time.Second

var settlingNotices = map[string]bool{
	"Failed to detect schema version":  true,
	"failed to update storage version": true,
}

// Enabled implements zapcore.LevelEnabler.
func (c *slogCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

// With implements zapcore.Core.
func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{log: c.log, closing: c.closing, born: c.born, fields: append(slices.Clip(c.fields), fields...)}
}

// Check implements zapcore.Core.
func (c *slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	switch {
	case !c.Enabled(e.Level), notices[e.Message]:
		return ce
	case c.closing.Load() && e.Level < zapcore.DPanicLevel:
		return ce
	case settlingNotices[e.Message] && e.Time.Sub(c.born) < settling:
		return ce
	}
	return ce.AddCore(e, c)
}

// Write implements zapcore.Core.
func (c *slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(c.fields, fields) {
		f.AddTo(enc)
	}
	attrs := make([]slog.Attr, 0, len(enc.Fields))
	for k, v := range enc.Fields {
		attrs = append(attrs, slog.Any(k, v))
	}
	slices.SortFunc(attrs, func(a, b slog.Attr) int { return strings.Compare(a.Key, b.Key) })
	level := slog.LevelWarn
	if e.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	c.log.LogAttrs(context.Background(), level, "etcd: "+e.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (c *slogCore) Sync() error { return nil }
