package tiering

import "varve/kafka"

const (
	// sampleBytes of a block are tried first; what doesn't shrink costs no more.
	sampleBytes = 32 << 10
	// saveAtLeast is the part of its size, 1/saveAtLeast, that compression has to
	// save to be worth the readers' time.
	saveAtLeast = 10
)

// squeeze compresses a block into scratch, if it pays.
func squeeze(scratch, raw []byte) (small []byte, ok bool, err error) {
	if len(raw) > 2*sampleBytes {
		// The middle is more telling than a batch's header.
		from := (len(raw) - sampleBytes) / 2
		small, err = kafka.Compress(kafka.Zstd, scratch[:0], raw[from:from+sampleBytes])
		if err != nil || !pays(len(small), sampleBytes) {
			return small, false, err
		}
		scratch = small
	}
	small, err = kafka.Compress(kafka.Zstd, scratch[:0], raw)
	return small, err == nil && pays(len(small), len(raw)), err
}

func pays(small, raw int) bool { return small <= raw-raw/saveAtLeast }
