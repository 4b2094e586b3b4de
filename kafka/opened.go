package kafka

import "runtime"

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

// opened calls use with the batch's records, decompressed within limit bytes. They must
// not be kept.
func (b Batch) opened(limit int, use func(body []byte) error) error {
	packed := b[BatchHeaderBytes:]
	if b.Codec() == None {
		return use(packed)
	}
	opening <- struct{}{}
	units := 0
	defer func() {
		for range units {
			<-largeRoom
		}
		<-opening
	}()
	body, err := decompress(b.Codec(), packed, limit, func(n int) {
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
	return use(body)
}
