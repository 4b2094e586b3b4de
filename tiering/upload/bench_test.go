package upload

import (
	"testing"

	"golang.org/x/time/rate"

	"varve/kafka"
	"varve/metadata/schema"
)

func BenchmarkBuild(b *testing.B) {
	for name, compress := range map[string]bool{"raw": false, "zstd": true} {
		b.Run(name, func(b *testing.B) {
			w, s := benchWorld(b, kafka.None)
			w.Cancel()
			w.upload.cfg.Compress = compress
			w.upload.pace.limiter.SetLimit(rate.Inf)
			s.Mu.Head = &schema.Head{}
			run := s.Pending(0, 64<<20)
			p := &slicePart{upload: &partitionUpload{source: s}, batches: run.Batches}
			var size int64
			for _, x := range run.Batches {
				size += int64(x.Size)
			}
			p.bytes = size
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				uploads := []objectUpload{{parts: []*slicePart{p}, bytes: size}}
				if err := w.upload.load(b.Context(), uploads); err != nil {
					b.Fatal(err)
				}
				o, err := w.upload.build(b.Context(), &uploads[0])
				if err != nil || p.err != nil {
					b.Fatal(err, p.err)
				}
				o.Finish(schema.Object{Writer: 1, Seq: 1})
			}
		})
	}
}
