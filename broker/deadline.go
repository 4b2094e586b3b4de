package broker

import (
	"context"
	"sync"
	"time"

	"varve/kafka"
)

// deadline is a context that makes its timer only when a caller waits: most
// produce requests never do.
type deadline struct {
	context.Context
	at   time.Time
	once sync.Once
	real context.Context
	end  context.CancelFunc
	work kafka.Work // of the request
}

// Value returns the request's work.
func (d *deadline) Value(key any) any {
	if key == (kafka.WorkKey{}) {
		return &d.work
	}
	return d.Context.Value(key)
}

func (d *deadline) make() context.Context {
	d.once.Do(func() { d.real, d.end = context.WithDeadline(d.Context, d.at) })
	return d.real
}

// Deadline is when it ends at the latest.
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Done is closed at the deadline, or when the parent ends.
func (d *deadline) Done() <-chan struct{} { return d.make().Done() }

// Err returns why it ended.
func (d *deadline) Err() error { return d.make().Err() }

// cancel frees the timer, if there is one.
func (d *deadline) cancel() {
	d.once.Do(func() {})
	if d.end != nil {
		d.end()
	}
}

// changeTimeout bounds a change of metadata when the client's own limit is absurd.
const changeTimeout = 30 * time.Second

// patience returns a context for a change that the client waits millis for.
func patience(ctx context.Context, millis int32) (context.Context, context.CancelFunc) {
	d := time.Duration(millis) * time.Millisecond
	if d <= 0 || d > changeTimeout {
		d = changeTimeout
	}
	return context.WithTimeout(ctx, d)
}
