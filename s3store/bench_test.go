package s3store_test

import (
	"bytes"
	"io"
	"testing"

	"varve/internal/testserver"
	"varve/s3store"
)

// BenchmarkS3 moves 64 MiB objects to and from a real MinIO on this machine.
func BenchmarkS3(b *testing.B) {
	const size = 64 << 20
	server := testserver.MinIO(b)
	data := bytes.Repeat([]byte("varve"), size/5)
	for _, driver := range []string{s3store.DriverAWS, s3store.DriverMinIO} {
		store, err := s3store.Open(b.Context(), s3Config(b, server, driver, "bench-"+driver), quiet, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(driver+"/put", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := store.Put(b.Context(), "big", bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(driver+"/get", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				body, err := store.Get(b.Context(), "big", 0, -1)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, body); err != nil || n != int64(len(data)) {
					b.Fatal(n, err)
				}
				body.Close()
			}
		})
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
