package read

import (
	"context"
	"errors"
	"fmt"

	"varve/metadata/schema"
	"varve/tiering/object"
)

// errNoWait: something would have to wait for memory.
var errNoWait = errors.New("memory is short")

// quit is what ends waiting for a load that isn't to wait for memory.
func (l *parts) quit(wait bool) <-chan struct{} {
	if wait {
		return nil
	}
	return l.memory.shortage()
}

// chunk returns an aligned piece of an object. Unless wait is set it ends as
// errNoWait where memory isn't free; that is for whom holds some.
func (l *parts) chunk(ctx context.Context, o schema.Object, number int64, wait bool) (*buffer, error) {
	key := cacheKey{kindChunk, o, number}
	for {
		b, err := l.chunks.get(ctx, key, l.quit(wait), func(ctx context.Context) (*buffer, int64, error) {
			return l.loadChunk(ctx, o, number, wait)
		})
		if wait && errors.Is(err, errNoWait) {
			continue // the load belonged to a caller that didn't want to wait
		}
		return b, err
	}
}

func (l *parts) loadChunk(ctx context.Context, o schema.Object, number int64, wait bool) (*buffer, int64, error) {
	size := l.cfg.ChunkBytes
	b := l.memory.try(size)
	if b == nil {
		if !wait {
			return nil, 0, errNoWait
		}
		patience, cancel := context.WithTimeoutCause(ctx, l.cfg.MemoryWait, ErrBusy)
		defer cancel()
		var err error
		if b, err = l.memory.get(patience, size); err != nil {
			return nil, 0, context.Cause(patience)
		}
	}
	b, err := l.fetch.read(ctx, object.Key(o), number*int64(size), b)
	if err != nil {
		return nil, 0, err
	}
	if len(b.b) <= size/2 {
		// The end of an object: don't let it hold a whole chunk's memory.
		small := l.memory.force(len(b.b))
		copy(small.b, b.b)
		b.release()
		b = small
	}
	return b, b.cap, nil
}

// gather copies bytes of an object that may be in several chunks.
func (l *parts) gather(ctx context.Context, o schema.Object, at int64, p []byte, wait bool) error {
	size := int64(l.cfg.ChunkBytes)
	for len(p) > 0 {
		b, err := l.chunk(ctx, o, at/size, wait)
		if err != nil {
			return err
		}
		from := at % size
		if from >= int64(len(b.b)) {
			b.release()
			return &object.CorruptError{Key: object.Key(o), At: at, Err: errors.New("the object ends before this")}
		}
		n := copy(p, b.b[from:])
		b.release()
		p, at = p[n:], at+int64(n)
	}
	return nil
}

// forget drops the chunks that hold a part of an object which proved wrong.
func (l *parts) forget(o schema.Object, at, length int64) {
	size := int64(l.cfg.ChunkBytes)
	for n := at / size; n <= (at+length-1)/size; n++ {
		l.chunks.drop(cacheKey{kindChunk, o, n})
	}
}

// block returns a block's record batches, checked, with the buffer that they are
// in. A block that proves wrong is read again, from the bucket.
func (l *parts) block(ctx context.Context, o schema.Object, k *object.Block, wait bool) ([]byte, *buffer, error) {
	p, b, err := l.blockOnce(ctx, o, k, wait)
	var corrupt *object.CorruptError
	if !errors.As(err, &corrupt) {
		return p, b, err
	}
	l.forget(o, k.At, int64(k.Stored))
	p, b, err = l.blockOnce(ctx, o, k, wait)
	if errors.As(err, &corrupt) {
		l.metrics.corrupt.Inc()
	}
	return p, b, err
}

// span returns the first and the last chunk that a block is in.
func (l *parts) span(k *object.Block) (from, to int64) {
	size := int64(l.cfg.ChunkBytes)
	return k.At / size, (k.At + int64(k.Stored) - 1) / size
}

// owned reports whether a block is compressed or is across chunks, so that it gets a buffer of
// its own.
func (l *parts) owned(k *object.Block) bool {
	from, to := l.span(k)
	return from != to || k.Codec != object.CodecRaw
}

func (l *parts) blockOnce(ctx context.Context, o schema.Object, k *object.Block, wait bool) ([]byte, *buffer, error) {
	size := int64(l.cfg.ChunkBytes)
	from := k.At / size
	if l.owned(k) {
		b, err := l.ownBlock(ctx, o, k, wait)
		if err != nil {
			return nil, nil, err
		}
		return b.b, b, nil
	}
	b, err := l.chunk(ctx, o, from, wait)
	if err != nil {
		return nil, nil, err
	}
	at := k.At % size
	if at+int64(k.Stored) > int64(len(b.b)) {
		b.release()
		return nil, nil, &object.CorruptError{Key: object.Key(o), At: k.At, Err: errors.New("the object ends within this block")}
	}
	p := b.b[at : at+int64(k.Stored)]
	if err := b.check(at, func() error { return k.Verify(o, p) }); err != nil {
		b.release()
		return nil, nil, err
	}
	return p, b, nil
}

// ownBlock returns a block that is compressed or is across chunks in a buffer of
// its own, which is cached.
func (l *parts) ownBlock(ctx context.Context, o schema.Object, k *object.Block, wait bool) (*buffer, error) {
	key := cacheKey{kindBlock, o, k.At}
	for {
		b, err := l.chunks.get(ctx, key, l.quit(wait), func(ctx context.Context) (*buffer, int64, error) {
			b, err := l.makeBlock(ctx, o, k, wait)
			return b, int64(k.Raw), err
		})
		if wait && errors.Is(err, errNoWait) {
			continue
		}
		return b, err
	}
}

func (l *parts) makeBlock(ctx context.Context, o schema.Object, k *object.Block, wait bool) (*buffer, error) {
	stored, release, err := l.stored(ctx, o, k, wait)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := k.Verify(o, stored); err != nil {
		return nil, err
	}
	// Only from here on memory is counted: no caller waits while holding some.
	if k.Codec == object.CodecRaw {
		return l.memory.adopt(stored), nil
	}
	if err := l.inflating.Acquire(ctx, 1); err != nil { // they go beyond the budget, so they are few at a time
		return nil, err
	}
	defer l.inflating.Release(1)
	b := l.memory.force(int(k.Raw))
	if err := l.inflate(o, k, stored, b.b); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

// stored returns a block as it is in the object, until release: in its chunk, or
// copied if it is across chunks.
func (l *parts) stored(ctx context.Context, o schema.Object, k *object.Block, wait bool) (p []byte, release func(), err error) {
	size := int64(l.cfg.ChunkBytes)
	from := k.At % size
	if from+int64(k.Stored) > size {
		p := make([]byte, k.Stored)
		if err := l.gather(ctx, o, k.At, p, wait); err != nil {
			return nil, nil, err
		}
		l.leave(o, k)
		return p, func() {}, nil
	}
	b, err := l.chunk(ctx, o, k.At/size, wait)
	if err != nil {
		return nil, nil, err
	}
	if from+int64(k.Stored) > int64(len(b.b)) {
		b.release()
		return nil, nil, &object.CorruptError{Key: object.Key(o), At: k.At, Err: errors.New("the object ends within this block")}
	}
	return b.b[from : from+int64(k.Stored)], b.release, nil
}

func (l *parts) inflate(o schema.Object, k *object.Block, stored, raw []byte) error {
	out, err := l.unzip.DecodeAll(stored, raw[:0:len(raw)])
	if err == nil && len(out) != len(raw) {
		err = fmt.Errorf("%d bytes, want %d", len(out), len(raw))
	}
	if err != nil {
		return &object.CorruptError{Key: object.Key(o), At: k.At, Err: fmt.Errorf("decompress block: %w", err)}
	}
	return nil
}

// finished notes that a reader took all of a block. last says that it is the slice's last: what
// follows in its chunk is another partition's.
func (l *parts) finished(o schema.Object, k *object.Block, last bool) {
	if l.owned(k) {
		l.chunks.finish(cacheKey{kindBlock, o, k.At})
	}
	l.leave(o, k)
	_, to := l.span(k)
	if last || (k.At+int64(k.Stored))%int64(l.cfg.ChunkBytes) == 0 {
		l.chunks.finish(cacheKey{kindChunk, o, to})
	}
}

// leave notes that a reader is done with the chunks that a block begins in, but for the one
// that it ends in.
func (l *parts) leave(o schema.Object, k *object.Block) {
	for from, to := l.span(k); from < to; from++ {
		l.chunks.finish(cacheKey{kindChunk, o, from})
	}
}

// prefetch starts to load the chunks that a block is in, if memory is free, unless the block
// itself is at hand. It returns how many it had to load.
func (l *parts) prefetch(o schema.Object, k *object.Block) (loads int) {
	if l.owned(k) && l.chunks.has(cacheKey{kindBlock, o, k.At}) {
		return 0
	}
	for from, to := l.span(k); from <= to; from++ {
		if l.prefetchChunk(o, from) {
			loads++
		}
	}
	return loads
}

func (l *parts) prefetchChunk(o schema.Object, number int64) bool {
	return l.chunks.begin(cacheKey{kindChunk, o, number}, func(ctx context.Context) (*buffer, int64, error) {
		return l.loadChunk(ctx, o, number, false)
	})
}
