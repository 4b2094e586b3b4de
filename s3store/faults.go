package s3store

import (
	"context"
	"io"
	"time"
)

// Call is a call that WithFaults asks about.
type Call struct {
	Op Op
	// Key is the key, the prefix of a listing, or the first key of a deletion.
	Key string
	// Off and Length are a Get's range.
	Off, Length int64
}

// Fault is how a call goes wrong. The zero value lets it go right.
type Fault struct {
	// Delay passes before the call, unless its context ends first.
	Delay time.Duration
	// Before fails the call without doing it.
	Before error
	// After fails the call although it was done.
	After error
	// Cut breaks a Get's stream, or a listing, with CutError behind CutAfter bytes
	// or keys. Where CutError is nil the stream hangs until its context ends.
	Cut      bool
	CutAfter int64
	CutError error
}

// Faults decides about a call. It may be called from many goroutines at once.
type Faults func(Call) Fault

type faulty struct {
	Store
	faults Faults
}

// WithFaults makes calls go wrong as a test wants it.
func WithFaults(inner Store, faults Faults) Store { return &faulty{inner, faults} }

func (f *faulty) Put(ctx context.Context, key string, body Body) error {
	return f.call(ctx, Call{Op: OpPut, Key: key}, func(Fault) error { return f.Store.Put(ctx, key, body) })
}

func (f *faulty) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return f.call(ctx, Call{Op: OpPutIfAbsent, Key: key}, func(Fault) error { return f.Store.PutIfAbsent(ctx, key, body) })
}

func (f *faulty) Get(ctx context.Context, key string, off, length int64) (body io.ReadCloser, err error) {
	err = f.call(ctx, Call{OpGet, key, off, length}, func(fault Fault) error {
		if body, err = f.Store.Get(ctx, key, off, length); err != nil {
			return err
		}
		if fault.After != nil {
			return body.Close()
		}
		if fault.Cut {
			body = &cutStream{body, ctx, fault.CutAfter, fault.CutError}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

func (f *faulty) Head(ctx context.Context, key string) (object Object, err error) {
	err = f.call(ctx, Call{Op: OpHead, Key: key}, func(Fault) error {
		object, err = f.Store.Head(ctx, key)
		return err
	})
	return object, err
}

func (f *faulty) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	return f.call(ctx, Call{Op: OpList, Key: prefix}, func(fault Fault) error {
		left, cut := fault.CutAfter, false
		err := f.Store.List(ctx, prefix, after, func(object Object) bool {
			if fault.Cut && left == 0 {
				cut = true
				return false
			}
			left--
			return each(object)
		})
		if cut {
			return breakOff(ctx, fault.CutError)
		}
		return err
	})
}

func (f *faulty) Delete(ctx context.Context, keys []string) error {
	call := Call{Op: OpDelete}
	if len(keys) > 0 {
		call.Key = keys[0]
	}
	return f.call(ctx, call, func(Fault) error { return f.Store.Delete(ctx, keys) })
}

func (f *faulty) call(ctx context.Context, call Call, do func(Fault) error) error {
	fault := f.faults(call)
	if fault.Delay > 0 {
		select {
		case <-ctx.Done():
			return &callError{call.Op, call.Key, ctx.Err()}
		case <-time.After(fault.Delay):
		}
	}
	if fault.Before != nil {
		return &callError{call.Op, call.Key, fault.Before}
	}
	if err := do(fault); err != nil {
		return err
	}
	if fault.After != nil {
		return &callError{call.Op, call.Key, fault.After}
	}
	return nil
}

// cutStream breaks behind some bytes, also at the end of the object.
type cutStream struct {
	io.ReadCloser
	ctx  context.Context
	left int64
	err  error
}

func (s *cutStream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, breakOff(s.ctx, s.err)
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

func breakOff(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}
