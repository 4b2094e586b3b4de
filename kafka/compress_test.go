package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

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

func BenchmarkCodec(b *testing.B) {
	var body []byte
	for i := range 1000 {
		body = fmt.Appendf(body, "%d GET /orders/%d?customer=%d 200 %d bytes\n", 1_790_000_000+i, i*i%977, i*7919%10007, i*31%4099)
	}
	small, err := Compress(Zstd, nil, body)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("zstd", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.RunParallel(func(pb *testing.PB) {
			var dst []byte
			for pb.Next() {
				dst, _ = Compress(Zstd, dst[:0], body)
			}
		})
	})
	b.Run("unzstd", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := Decompress(Zstd, small, 1<<20); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
