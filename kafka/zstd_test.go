package kafka

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func zstdFrames(t testing.TB, body []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for name, options := range map[string][]zstd.EOption{
		"fastest":     {zstd.WithEncoderLevel(zstd.SpeedFastest)},
		"best":        {zstd.WithEncoderLevel(zstd.SpeedBestCompression)},
		"no checksum": {zstd.WithEncoderCRC(false)},
		"one segment": {zstd.WithSingleSegment(true)},
		"1 KiB":       {zstd.WithWindowSize(1 << 10)},
	} {
		w := must(zstd.NewWriter(nil, append(options, zstd.WithEncoderConcurrency(1))...))
		all[name] = w.EncodeAll(body, nil)
		var b bytes.Buffer
		s := must(zstd.NewWriter(&b, append(options, zstd.WithEncoderConcurrency(1))...))
		for _, part := range [][]byte{body[:len(body)/2], body[len(body)/2:]} {
			if _, err := s.Write(part); err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		all[name+", a stream"] = b.Bytes()
	}
	half := all["fastest"]
	all["skipped and two"] = append(append([]byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, half...), half...)
	return all
}

// Whatever room there is at first, and whether frames tell their size, all is decompressed.
func TestZstdRooms(t *testing.T) {
	for _, body := range [][]byte{{}, logLines(100), logLines(200_000), make([]byte, 300_000)} {
		for name, packed := range zstdFrames(t, body) {
			want := body
			if name == "skipped and two" {
				want = append(bytes.Clone(body), body...)
			}
			for _, room := range []int{0, 1, len(body) / 2, len(want), len(want) + zstdSlack, 3 * len(want)} {
				out, err := unzstd(make([]byte, 0, room), packed, len(want))
				if err != nil || !bytes.Equal(out, want) {
					t.Fatalf("%s, room %d: %d bytes of %d, %v", name, room, len(out), len(want), err)
				}
			}
			if n, err := sizeZstd(packed, len(want)); n != len(want) || err != nil {
				t.Errorf("%s: size %d, %v", name, n, err)
			}
			if len(want) == 0 {
				continue
			}
			if _, err := unzstd(nil, packed, len(want)-1); !errors.Is(err, errLimit) {
				t.Errorf("%s, over the limit: %v", name, err)
			}
		}
	}
}

// A frame in one segment may be larger than the windows of streams.
func TestZstdOneLargeSegment(t *testing.T) {
	body := bytes.Repeat(logLines(1<<20), 20)
	w := must(zstd.NewWriter(nil, zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(1)))
	packed := w.EncodeAll(body, nil)
	if out, err := Decompress(Zstd, packed, len(body)); err != nil || !bytes.Equal(out, body) {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if _, err := Decompress(Zstd, packed, len(body)-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
}

// FuzzZstd holds decompression at once against that of a stream.
func FuzzZstd(f *testing.F) {
	for _, body := range [][]byte{{}, []byte("a"), logLines(3000), make([]byte, 5000), bytes.Repeat([]byte("abc"), 700)} {
		for _, packed := range zstdFrames(f, body) {
			f.Add(packed, 0)
			f.Add(packed, len(body)/2)
		}
	}
	r := newZstdReader(zstdWindow, zstd.WithDecoderConcurrency(1))
	f.Fuzz(func(t *testing.T, packed []byte, room int) {
		const limit = 1 << 18
		if err := r.Reset(bytes.NewReader(packed)); err != nil {
			t.Fatal(err)
		}
		want, wantErr := io.ReadAll(io.LimitReader(r, limit+1))
		if errors.Is(wantErr, zstd.ErrWindowSizeExceeded) || errors.Is(wantErr, zstd.ErrDecoderSizeExceeded) {
			return // they are not decompressed as streams
		}
		if len(want) > limit {
			wantErr = errLimit
		}
		if wantErr != nil {
			want = nil
		}
		out, err := unzstd(make([]byte, 0, min(max(room, 0), limit)), packed, limit)
		if (err == nil) != (wantErr == nil) || errors.Is(err, errLimit) != errors.Is(wantErr, errLimit) || err == nil && !bytes.Equal(out, want) {
			t.Fatalf("%d bytes, %v; as a stream: %d bytes, %v", len(out), err, len(want), wantErr)
		}
	})
}
