package kafka

import (
	"encoding/binary"
	"math/bits"
)

// The primes of xxHash.
const (
	xxPrime1 uint32 = 2654435761
	xxPrime2 uint32 = 2246822519
	xxPrime3 uint32 = 3266489917
	xxPrime4 uint32 = 668265263
	xxPrime5 uint32 = 374761393
)

// xxh32 returns the xxHash of 32 bits with seed 0, which are lz4's checksums
// (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
func xxh32(b []byte) uint32 {
	le := binary.LittleEndian
	h := uint32(len(b))
	if len(b) < 16 {
		h += xxPrime5
	} else {
		v1, v2, v3, v4 := xxPrime1, xxPrime2, uint32(0), uint32(0)
		v1 += xxPrime2
		v4 -= xxPrime1
		at := 0
		for ; at <= len(b)-16; at += 16 {
			lanes := b[at:][:16]
			v1 = bits.RotateLeft32(v1+le.Uint32(lanes)*xxPrime2, 13) * xxPrime1
			v2 = bits.RotateLeft32(v2+le.Uint32(lanes[4:])*xxPrime2, 13) * xxPrime1
			v3 = bits.RotateLeft32(v3+le.Uint32(lanes[8:])*xxPrime2, 13) * xxPrime1
			v4 = bits.RotateLeft32(v4+le.Uint32(lanes[12:])*xxPrime2, 13) * xxPrime1
		}
		b = b[at:]
		h += bits.RotateLeft32(v1, 1) + bits.RotateLeft32(v2, 7) + bits.RotateLeft32(v3, 12) + bits.RotateLeft32(v4, 18)
	}
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+le.Uint32(b)*xxPrime3, 17) * xxPrime4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*xxPrime5, 11) * xxPrime1
	}
	h = (h ^ h>>15) * xxPrime2
	h = (h ^ h>>13) * xxPrime3
	return h ^ h>>16
}
