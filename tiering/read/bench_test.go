package read

import (
	"testing"

	"varve/kafka"
	"varve/tiering/tiertest"
)

func readThrough(b *testing.B, r *Reader, s *tiertest.Source) {
	h := s.Head()
	for o := int64(0); o < h.TieredEnd; {
		d, err := r.Read(b.Context(), h, s.ID, o, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		o = d.Next
		d.Release()
	}
}

// BenchmarkRead reads 64 MiB of blocks that are stored as they are (snappy) or
// compressed by the tier (none), with nothing or all of it cached.
func BenchmarkRead(b *testing.B) {
	for _, codec := range []kafka.Codec{kafka.None, kafka.Snappy} {
		w, s := benchWorld(b, codec)
		b.Run("cold/"+codec.String(), func(b *testing.B) {
			b.SetBytes(s.Head().TieredBytes())
			b.ReportAllocs()
			for b.Loop() {
				r := New(w.Store, DefaultConfig(), nil)
				readThrough(b, r, s)
				r.Close()
			}
		})
		b.Run("cached/"+codec.String(), func(b *testing.B) {
			b.SetBytes(s.Head().TieredBytes())
			b.ReportAllocs()
			for b.Loop() {
				readThrough(b, w.reader, s)
			}
		})
	}
}
