package metadata_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"varve/metadata"
)

// Benchmarks of writes by many callers, each of one key of its own with 100
// bytes, against the embedded etcd with its fsyncs: ops/s, and how many writes
// went into a transaction.

func benchStore(b *testing.B) metadata.Store {
	return open(b, embedded(b, b.TempDir()).Config())
}

// benchWrites runs write from 128 callers.
func benchWrites(b *testing.B, write func(key string, value []byte) error) {
	var callers atomic.Int64
	value := make([]byte, 100)
	b.SetParallelism(64) // times GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		key := fmt.Sprint("bench/", callers.Add(1))
		for pb.Next() {
			if err := write(key, value); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkSingleTxns(b *testing.B) {
	s := benchStore(b)
	benchWrites(b, func(key string, value []byte) error {
		_, err := s.Txn(context.Background(), nil, metadata.Put(key, value))
		return err
	})
}

func BenchmarkWriter(b *testing.B) {
	s := benchStore(b)
	before := put(b, s, "before", "")
	w := metadata.NewWriter(s, metadata.DefaultWriterConfig(), testLogger(b), nil)
	benchWrites(b, func(key string, value []byte) error {
		_, err := w.Write(context.Background(), nil, metadata.Put(key, value))
		return err
	})
	if err := w.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/float64(put(b, s, "after", "")-before-1), "writes/txn")
}
