package read

import (
	"context"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// parts loads parts of objects through the caches: chunks and blocks, indexes, producer
// states and pages. Each is checked before it is given out.
type parts struct {
	cfg     *Config
	metrics *metrics
	memory  *memory
	fetch   *fetcher
	chunks  *cache[*buffer] // chunks and blocks
	meta    *cache[any]     // *object.Index, []object.Producer, *manifest.Page
	unzip   *zstd.Decoder

	inflating *semaphore.Weighted // of blocks that are being decompressed
}

// newParts makes the caches. Loads run in goroutines that start begins, until ctx ends.
func newParts(ctx context.Context, store s3store.Store, cfg *Config, m *metrics, start func(func())) *parts {
	l := &parts{cfg: cfg, metrics: m, unzip: object.NewDecompressor(), inflating: semaphore.NewWeighted(int64(2 * runtime.GOMAXPROCS(0)))}
	// A quarter of the memory is never cached, so that a caller that waits for room gets it
	// by what others release, without anybody having to make room for them.
	relieved := func(load func()) {
		start(func() {
			load()
			l.memory.relieve() // what was loaded for nobody yet may be given up for a caller that waits
		})
	}
	l.chunks = newCache(ctx, cfg.MemoryBytes/4*3, relieved, (*buffer).retain, func(b *buffer) { b.drop() }, (*buffer).shared, m.looked)
	l.memory = newMemory(cfg.MemoryBytes, cfg.ChunkBytes, l.chunks.evict)
	l.fetch = newFetcher(store, cfg, l.memory, m, start)
	l.meta = newCache(ctx, cfg.MetaBytes, start, func(any) {}, func(any) {}, func(any) bool { return false }, m.looked)
	return l
}

// close drops what is cached, when no load is under way any more.
func (l *parts) close() {
	l.chunks.clear()
	l.unzip.Close()
}

// small reads a part of an object, or a page, that is decoded and cached as such.
func (l *parts) small(ctx context.Context, key string, at int64, n int32) (*buffer, error) {
	if n <= 0 || n > object.MaxSealedBytes {
		return nil, &object.CorruptError{Key: key, At: at, Err: fmt.Errorf("length %d is out of bounds", n)}
	}
	b, err := l.fetch.read(ctx, key, at, l.memory.force(int(n)))
	if err != nil {
		return nil, err
	}
	if len(b.b) < int(n) {
		short := len(b.b)
		b.release()
		return nil, &object.CorruptError{Key: key, At: at, Err: fmt.Errorf("the object ends behind %d bytes of %d", short, n)}
	}
	return b, nil
}

// index returns a slice's index. That of a small slice comes with the chunk in which
// its blocks are, and which will be read next.
func (l *parts) index(ctx context.Context, s *schema.Slice) (*object.Index, error) {
	v, err := l.meta.get(ctx, cacheKey{kindIndex, s.Object, s.IndexAt}, nil, func(ctx context.Context) (any, int64, error) {
		x, err := l.loadIndex(ctx, s)
		if err != nil {
			return nil, 0, err
		}
		return x, int64(256 + len(x.Blocks)*56 + len(x.Aborted)*24 + len(x.Epochs)*16), nil
	})
	if err != nil {
		return nil, err
	}
	x := v.(*object.Index)
	if x.Base != s.Base || x.End != s.End {
		return nil, &object.CorruptError{Key: object.Key(s.Object), At: s.IndexAt, Err: fmt.Errorf("index of %d to %d, want %d to %d", x.Base, x.End, s.Base, s.End)}
	}
	return x, nil
}

func (l *parts) loadIndex(ctx context.Context, s *schema.Slice) (x *object.Index, err error) {
	key := object.Key(s.Object)
	if s.IndexLen > 0 && s.Bytes+int64(s.IndexLen) <= int64(l.cfg.ChunkBytes) {
		p := make([]byte, s.IndexLen)
		if err := l.gather(ctx, s.Object, s.IndexAt, p, true); err != nil {
			return nil, err
		}
		if x, err = object.DecodeIndex(p, s.IndexAt); err == nil {
			return x, nil
		}
		l.forget(s.Object, s.IndexAt, int64(s.IndexLen))
	}
	err = l.decoded(ctx, key, s.IndexAt, s.IndexLen, func(p []byte) error {
		x, err = object.DecodeIndex(p, s.IndexAt)
		return err
	})
	return x, err
}

// decoded reads bytes and decodes them, again if they prove wrong.
func (l *parts) decoded(ctx context.Context, key string, at int64, n int32, decode func([]byte) error) error {
	var bad error
	for range 2 {
		b, err := l.small(ctx, key, at, n)
		if err != nil {
			return err
		}
		bad = decode(b.b)
		b.release()
		if bad == nil {
			return nil
		}
	}
	l.metrics.corrupt.Inc()
	return &object.CorruptError{Key: key, At: at, Err: bad}
}

// state returns the producers of a slice that has a state.
func (l *parts) state(ctx context.Context, o schema.Object, x *object.Index) ([]object.Producer, error) {
	v, err := l.meta.get(ctx, cacheKey{kindState, o, x.StateAt}, nil, func(ctx context.Context) (any, int64, error) {
		var producers []object.Producer
		err := l.decoded(ctx, object.Key(o), x.StateAt, x.StateLen, func(p []byte) (err error) {
			producers, err = object.DecodeState(p)
			return err
		})
		return producers, int64(64 + 160*len(producers)), err
	})
	if err != nil {
		return nil, err
	}
	return v.([]object.Producer), nil
}

// page returns a page of a partition's manifest.
func (l *parts) page(ctx context.Context, p id.Partition, at schema.Page) (*manifest.Page, error) {
	v, err := l.meta.get(ctx, cacheKey{kindPage, at.Object, 0}, nil, func(ctx context.Context) (any, int64, error) {
		var g *manifest.Page
		err := l.decoded(ctx, object.PageKey(at.Object), 0, at.Len, func(b []byte) (err error) {
			g, err = manifest.DecodePage(b)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		return g, int64(256 + 96*len(g.Slices) + 96*len(g.Children)), nil
	})
	if err != nil {
		return nil, err
	}
	g := v.(*manifest.Page)
	if g.Partition != p {
		return nil, &object.CorruptError{Key: object.PageKey(at.Object), At: 0, Err: fmt.Errorf("page of %v, want %v", g.Partition, p)}
	}
	return g, nil
}
