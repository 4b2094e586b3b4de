package kafka

import (
	"runtime"
	"sync"
)

// Batches are taken apart a few at a time: that only computes, so that more at a time
// would need more memory and no less time. A small batch may be large inside; of those
// that are, fewer. The channels are made before anything runs, as those of zstd.
var (
	opening   = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	largeRoom = make(chan struct{}, largeUnits)
	largeTurn = make(chan struct{}, 1) // one at a time takes units: who has some has all
)

// largeUnits and largeUnit make 128 MiB for the large ones.
const (
	largeUnits = 8
	largeUnit  = 16 << 20
)

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
	return use(Body{b, body})
}
