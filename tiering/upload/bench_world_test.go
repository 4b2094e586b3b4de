package upload

import (
	"bytes"
	"log/slog"
	"testing"

	"varve/kafka"
	"varve/tiering/read"
	"varve/tiering/tiertest"
)

func benchWorld(b *testing.B, codec kafka.Codec) (*world, *tiertest.Source) {
	cfg := worldConfig{DefaultConfig(), read.DefaultConfig(), slog.New(slog.DiscardHandler)}
	w := newWorld(b, cfg)
	s := w.Source(1, 0)
	rng := tiertest.Rand(1)
	var some []kafka.Batch
	for range 16 {
		some = append(some, tiertest.RandomBatch(b, rng, codec, 64, 1000, 1))
	}
	for i := range 1024 {
		s.Produce(bytes.Clone(some[i%len(some)]), 0, w.Now.Millis())
	}
	w.Flush()
	return w, s
}
