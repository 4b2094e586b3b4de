package object

import "github.com/klauspost/compress/zstd"

const (
	// sampleBytes of a block are tried first; what doesn't shrink costs no more.
	sampleBytes = 32 << 10
	// saveAtLeast is the part of its size, 1/saveAtLeast, that compression has to
	// save to be worth the readers' time.
	saveAtLeast = 10
	// squeezeFrom is the size below which a block isn't worth the trouble.
	squeezeFrom = 512
)

// NewCompressor makes the compressor of an uploader, for so many blocks at a time.
func NewCompressor(concurrency int) *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(concurrency), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(BlockBytes), zstd.WithLowerEncoderMem(true), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		panic(err) // only options that are wrong
	}
	return e
}

// NewDecompressor makes a decompressor of blocks.
func NewDecompressor() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlockBytes), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		panic(err) // only options that are wrong
	}
	return d
}

// squeeze compresses a block into scratch, if it pays.
func squeeze(zip *zstd.Encoder, scratch, raw []byte) (small []byte, ok bool) {
	if len(raw) < squeezeFrom {
		return scratch, false
	}
	if len(raw) > 2*sampleBytes {
		// The middle is more telling than a batch's header.
		from := (len(raw) - sampleBytes) / 2
		small = zip.EncodeAll(raw[from:from+sampleBytes], scratch[:0])
		if !pays(len(small), sampleBytes) {
			return small, false
		}
		scratch = small
	}
	small = zip.EncodeAll(raw, scratch[:0])
	return small, pays(len(small), len(raw))
}

func pays(small, raw int) bool { return small <= raw-raw/saveAtLeast }
