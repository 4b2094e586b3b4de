package partition

import (
	"fmt"
	"testing"

	"varve/kafka"
)

// BenchmarkAdmit checks batches of 64 KiB, of each codec and of records of two sizes, with
// their records read and with headers trusted.
func BenchmarkAdmit(bench *testing.B) {
	s := settings()
	for codec := kafka.None; codec <= kafka.Zstd; codec++ {
		for _, size := range []int{100, 1000} {
			batch := textBatch(bench, codec, size, 64<<10)
			for _, trust := range []bool{false, true} {
				bench.Run(fmt.Sprintf("%v/%d/trust=%v", codec, size, trust), func(bench *testing.B) {
					bench.SetBytes(int64(len(batch)))
					bench.ReportAllocs()
					for bench.Loop() {
						if _, err := admit(batch, s, 1_790_000_000_000, trust, nil); err != nil {
							bench.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// textBatch makes a batch of records of text that compresses about as logs do.
func textBatch(t testing.TB, codec kafka.Codec, size, bytes int) kafka.Batch {
	var rs []kafka.NewRecord
	state := uint32(1)
	for n := 0; n < bytes; n += size {
		value := make([]byte, 0, size+16)
		for len(value) < size {
			state = state*1664525 + 1013904223
			value = fmt.Appendf(value, "level=info id=%d path=/v1/orders/%d ", state>>20, state>>12)
		}
		rs = append(rs, kafka.NewRecord{Timestamp: 1_790_000_000_000, Value: value[:size]})
	}
	b, err := kafka.Build(codec, rs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
