package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// minRate is the slowest rate at which bytes may move, in bytes per second; it
// lengthens the deadline of large objects.
const minRate = 256 << 10

type bounded struct {
	Store
	request, stall time.Duration
}

// WithDeadline ends a call with ErrTimeout that isn't over after request, plus
// the time that its bytes take at 256 KiB/s. A listing may take that long from
// one key to the next and a batch of deletions for each 1000 keys. The stream of
// a Get has no deadline, but every read of it must bring bytes within stall;
// time that the reader spends elsewhere doesn't count.
func WithDeadline(inner Store, request, stall time.Duration) Store {
	return &bounded{inner, request, stall}
}

func (b *bounded) Put(ctx context.Context, key string, body Body) error {
	return b.within(ctx, b.forBytes(body.Size()), func(ctx context.Context, _ *watch) error {
		return b.Store.Put(ctx, key, body)
	})
}

func (b *bounded) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return b.within(ctx, b.forBytes(body.Size()), func(ctx context.Context, _ *watch) error {
		return b.Store.PutIfAbsent(ctx, key, body)
	})
}

func (b *bounded) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	w := newWatch(ctx)
	w.start(b.request)
	body, err := b.Store.Get(w.ctx, key, off, length)
	w.pause()
	if err != nil {
		w.end()
		return nil, w.explain(err)
	}
	return &boundedStream{body, w, b.stall}, nil
}

func (b *bounded) Head(ctx context.Context, key string) (object Object, err error) {
	err = b.within(ctx, b.request, func(ctx context.Context, _ *watch) error {
		object, err = b.Store.Head(ctx, key)
		return err
	})
	return object, err
}

func (b *bounded) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	return b.within(ctx, b.request, func(ctx context.Context, w *watch) error {
		return b.Store.List(ctx, prefix, after, func(object Object) bool {
			w.pause()
			defer w.start(b.request)
			return each(object)
		})
	})
}

func (b *bounded) Delete(ctx context.Context, keys []string) error {
	batches := 1 + len(keys)/deleteBatch
	return b.within(ctx, time.Duration(batches)*b.request, func(ctx context.Context, _ *watch) error {
		return b.Store.Delete(ctx, keys)
	})
}

func (b *bounded) forBytes(size int64) time.Duration {
	return b.request + time.Duration(float64(size)/minRate*float64(time.Second))
}

func (b *bounded) within(ctx context.Context, limit time.Duration, do func(context.Context, *watch) error) error {
	w := newWatch(ctx)
	defer w.end()
	w.start(limit)
	return w.explain(do(w.ctx, w))
}

// watch cancels a context when a time is over that can be paused.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func newWatch(ctx context.Context) *watch {
	w := &watch{}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(time.Hour, func() { w.cancel(ErrTimeout) })
	w.timer.Stop()
	return w
}

func (w *watch) start(limit time.Duration) { w.timer.Reset(limit) }
func (w *watch) pause()                    { w.timer.Stop() }

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain makes an error that the watch caused an ErrTimeout.
func (w *watch) explain(err error) error {
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(w.ctx), ErrTimeout) && Transient(err) {
		return fmt.Errorf("%w (%v)", ErrTimeout, err)
	}
	return err
}

type boundedStream struct {
	io.ReadCloser
	watch *watch
	stall time.Duration
}

func (s *boundedStream) Read(p []byte) (int, error) {
	s.watch.start(s.stall)
	n, err := s.ReadCloser.Read(p)
	s.watch.pause()
	return n, s.watch.explain(err)
}

func (s *boundedStream) Close() error {
	s.watch.end()
	return s.ReadCloser.Close()
}
