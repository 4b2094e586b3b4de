package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// TestCodersAreUsableInEveryBubble keeps simulated clusters possible: what one
// bubble used, the next and the code outside of them can use.
func TestCodersAreUsableInEveryBubble(t *testing.T) {
	body := bytes.Repeat([]byte("varve "), 10_000)
	roundTrip := func(t *testing.T, c Codec) {
		small, err := Compress(c, nil, body)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := Decompress(c, small, len(body)); err != nil || !bytes.Equal(out, body) {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
	}
	for c := None; c <= Zstd; c++ {
		t.Run(c.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { roundTrip(t, c) })
			synctest.Test(t, func(t *testing.T) { roundTrip(t, c) })
			roundTrip(t, c)
		})
	}
}

func TestZstdWindows(t *testing.T) {
	plain := bytes.Repeat([]byte("a window of its own size; "), 50_000)
	frame := func(window int) []byte {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // what comes at once would get a window of its size
			if _, err := w.Write(plain); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, window := range []int{zstdWindow / 2, zstdWindow, 2 * zstdWindow, zstdMaxWindow} {
		size := 2 * len(plain)
		if out, err := Decompress(Zstd, frame(window), size); err != nil || len(out) != size {
			t.Errorf("window %d: %d bytes of %d, %v", window, len(out), size, err)
		}
	}
	if _, err := Decompress(Zstd, frame(2*zstdWindow), 1<<20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := Decompress(Zstd, frame(2*zstdMaxWindow), 1<<30); !errors.Is(err, ErrCorrupt) {
		t.Errorf("window %d: %v", 2*zstdMaxWindow, err)
	}
}

// logLines are records of words and numbers, as log lines have them.
func logLines(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"GET", "POST", "/api/v1/orders", "/api/v1/users", "200", "404", "status", "latency_ms", "user_id", "region", "eu-west-1", "us-east-1", "cart", "checkout"}
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "%s=%d ", words[r.IntN(len(words))], r.IntN(100_000))
	}
	return b[:n]
}

func BenchmarkCompress(b *testing.B) {
	body := logLines(64 << 10)
	for c := Gzip; c <= Zstd; c++ {
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.RunParallel(func(pb *testing.PB) {
				var dst []byte
				for pb.Next() {
					dst, _ = Compress(c, dst[:0], body)
				}
			})
		})
	}
}

// BenchmarkOpen opens several batches in turn, so that the processor can't learn them.
func BenchmarkOpen(b *testing.B) {
	const size, several = 64 << 10, 32
	plain := logLines(size * several)
	for c := Gzip; c <= Zstd; c++ {
		var batches [several]Batch
		for i := range batches {
			batch, err := Build(c, []NewRecord{{Value: plain[i*size:][:size]}}, nil)
			if err != nil {
				b.Fatal(err)
			}
			batches[i] = batch
		}
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for i := range b.N {
				if err := batches[i%several].Open(64<<20, func(Body) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A frame that declares a large window for a few bytes, as zstd's highest levels do, takes
// little memory.
func TestLargeWindowsAreCheap(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(zstdMaxWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.Write([]byte("a few bytes")); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := testing.Benchmark(func(bench *testing.B) {
		for range bench.N {
			if out, err := Decompress(Zstd, b.Bytes(), 64<<20); err != nil || len(out) != 22 {
				bench.Fatal(len(out), err)
			}
		}
	})
	if n := r.AllocedBytesPerOp(); n > 1<<20 {
		t.Errorf("%d bytes of memory for a frame of %d", n, b.Len())
	}
}

// S2's own codes are no snappy, although the decoder that is used here knows them: clients
// can't read them.
func TestS2IsNoSnappy(t *testing.T) {
	body := bytes.Repeat([]byte("all work and no play makes jack a dull boy; "), 2000)
	for i := 0; i < len(body); i += 500 {
		body[i] = byte(i / 500)
	}
	for name, block := range map[string][]byte{"better": s2.EncodeBetter(nil, body), "best": s2.EncodeBest(nil, body)} {
		if out, err := Decompress(Snappy, block, len(body)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
	for name, block := range map[string][]byte{"snappy": s2.EncodeSnappy(nil, body), "better": s2.EncodeSnappyBetter(nil, body)} {
		if out, err := Decompress(Snappy, block, len(body)); err != nil || !bytes.Equal(out, body) {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
}

// Java's snappy streams may follow each other.
func TestSnappyStreamsFollowEachOther(t *testing.T) {
	stream := func(s string) []byte {
		block := s2.EncodeSnappy(nil, []byte(s))
		out := append(append([]byte{}, xerial...), 0, 0, 0, 1, 0, 0, 0, 1)
		return append(append(out, 0, 0, 0, byte(len(block))), block...)
	}
	if out, err := Decompress(Snappy, append(stream("one"), stream("two")...), 100); err != nil || string(out) != "onetwo" {
		t.Errorf("%q, %v", out, err)
	}
}
