package tiertest

import (
	"math/rand/v2"

	"varve/internal/id"
	"varve/metadata/schema"
)

// Slices are n slices of ten offsets each, from base on.
func Slices(base int64, n int) []schema.Slice {
	list := make([]schema.Slice, n)
	for i := range list {
		o := base + int64(i)*10
		list[i] = schema.Slice{Object: schema.Object{Writer: 3, Seq: schema.FirstTimed + uint64(o)}, Base: o, End: o + 10, MinTime: o, MaxTime: o + 5,
			MinEpoch: id.Epoch(o / 1000), MaxEpoch: id.Epoch(o / 1000), Bytes: 100, IndexAt: 1 << 20, IndexLen: 100}
	}
	return list
}

// Rand returns the random numbers of a seed.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
