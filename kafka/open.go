package kafka

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Batches are taken apart a few at a time: that only computes, so that more at a time
// would need more memory and no less time. A small batch may be large inside; of those
// that are, fewer. The channels are made before anything runs, as those of zstd.
var (
	opening   = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	largeRoom = make(chan struct{}, largeUnits)
	largeTurn = make(chan struct{}, 1) // one at a time takes units: a holder of some has all
	largeUnit = 16 << 20
	largeMost = math.MaxInt // the largest output
	opened    atomic.Int64  // bytes of decompressed batches in memory
)

// largeUnits are in how many parts the memory for the large ones is given out.
const largeUnits = 8

// LimitDecompression bounds the memory in which batches are taken apart; what is larger than
// half of it alone is ErrTooLarge. It must be called before anything is decompressed.
func LimitDecompression(bytes int64) {
	small := max(1, min(2*runtime.GOMAXPROCS(0), int(bytes/2/smallOutput)))
	opening = make(chan struct{}, small)
	largeUnit = int(bytes / 2 / largeUnits)
	largeMost = largeUnits * largeUnit
	zstdStreams = newZstdStreams(max(1, min(runtime.GOMAXPROCS(0), int(bytes/4/zstdWindow))))
	zstdWide = newZstdWide(uint64(min(zstdMaxWindow, bytes/2)))
}

// Decompressed returns how many bytes of decompressed records are in memory.
func Decompressed() int64 { return opened.Load() }

// bodies are buffers for what is decompressed, kept while they are small.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// Body is the records of a batch, decompressed.
type Body struct {
	batch Batch
	bytes []byte
}

// Open calls use with the batch's records, decompressed within limit bytes. The Body
// must not be kept.
func (b Batch) Open(limit int, use func(Body) error) error {
	packed := b[BatchHeaderBytes:]
	if b.Codec() == None {
		return use(Body{b, packed})
	}
	opening <- struct{}{}
	units := 0
	buf := bodies.Get().(*[]byte)
	defer func() {
		bodies.Put(buf)
		for range units {
			<-largeRoom
		}
		<-opening
	}()
	limit = min(limit, largeMost)
	body, err := decompress(b.Codec(), (*buf)[:0], packed, limit, func(n int) {
		units = min((n+largeUnit-1)/largeUnit, largeUnits)
		largeTurn <- struct{}{}
		for range units {
			largeRoom <- struct{}{}
		}
		<-largeTurn
	})
	if err != nil {
		return err
	}
	if cap(body) <= smallOutput {
		*buf = body[:0]
	}
	size := int64(cap(body))
	opened.Add(size)
	defer opened.Add(-size)
	return use(Body{b, body})
}
