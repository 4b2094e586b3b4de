package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/pierrec/lz4/v4"

	"varve/internal/workbound"
)

func TestXxh32(t *testing.T) {
	for s, want := range map[string]uint32{
		"":    0x02cc5d05,
		"a":   0x550d7456,
		"abc": 0x32d153ff,
		"Nobody inspects the spammish repetition": 0xe2293b2f,
	} {
		if got := xxh32([]byte(s)); got != want {
			t.Errorf("%q: %08x, want %08x", s, got, want)
		}
	}
}

func lz4ed(t testing.TB, body []byte, options ...lz4.Option) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	if err := w.Apply(options...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func lz4Frames(t testing.TB, body []byte) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"4 MiB blocks":         lz4ed(t, body),
		"64 KiB blocks":        lz4ed(t, body, lz4.BlockSizeOption(lz4.Block64Kb)),
		"256 KiB blocks, sums": lz4ed(t, body, lz4.BlockSizeOption(lz4.Block256Kb), lz4.BlockChecksumOption(true)),
		"no sum":               lz4ed(t, body, lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)),
		"size":                 lz4ed(t, body, lz4.SizeOption(uint64(len(body))), lz4.BlockSizeOption(lz4.Block64Kb)),
		"all":                  lz4ed(t, body, lz4.SizeOption(uint64(len(body))), lz4.BlockSizeOption(lz4.Block64Kb), lz4.BlockChecksumOption(true), lz4.ChecksumOption(true)),
		"level 9":              lz4ed(t, body, lz4.BlockSizeOption(lz4.Block64Kb), lz4.CompressionLevelOption(lz4.Level9)),
	}
}

// Whatever room there is at first, the blocks are decompressed, and no more than the limit.
func TestLz4Rooms(t *testing.T) {
	for _, body := range [][]byte{{}, logLines(100), logLines(200_000), make([]byte, 300_000), bytes.Repeat([]byte("abc"), 70_000)} {
		for name, frame := range lz4Frames(t, body) {
			for _, room := range []int{0, 1, 31, 32, 33, len(body) / 2, max(0, len(body)-1), len(body), len(body) + 1, 3 * len(body)} {
				out, err := unlz4(make([]byte, 0, room), frame, len(body))
				if err != nil || !bytes.Equal(out, body) {
					t.Fatalf("%s, room %d: %d bytes of %d, %v", name, room, len(out), len(body), err)
				}
			}
			if n, err := sizeLz4(frame, len(body)); n != len(body) || err != nil {
				t.Errorf("%s: size %d, %v", name, n, err)
			}
			if len(body) == 0 {
				continue
			}
			if _, err := unlz4(nil, frame, len(body)-1); !errors.Is(err, errLimit) {
				t.Errorf("%s, over the limit: %v", name, err)
			}
			if _, err := sizeLz4(frame, len(body)-1); !errors.Is(err, errLimit) {
				t.Errorf("%s, size over the limit: %v", name, err)
			}
		}
	}
}

// Every checksum and size in a frame is checked, and each byte of it is needed. A change may
// leave the content as it was: there is more than one way to write it.
func TestLz4Damage(t *testing.T) {
	body := logLines(400)
	for name, frame := range lz4Frames(t, body) {
		for i := range frame {
			if out, err := Decompress(Lz4, frame[:i:i], 1<<20); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %d bytes of %d: %d bytes, %v", name, i, len(frame), len(out), err)
			}
			wrong := bytes.Clone(frame)
			wrong[i] ^= 0x10
			sameAsLz4Reader(t, wrong)
			if name != "no sum" {
				if out, err := Decompress(Lz4, wrong, 1<<20); !errors.Is(err, ErrCorrupt) && !bytes.Equal(out, body) {
					t.Errorf("%s, byte %d changed: %d bytes, %v", name, i, len(out), err)
				}
			}
		}
	}
}

// oneLz4Frame reports whether body is one frame of independent blocks, which the library's
// reader doesn't check.
func oneLz4Frame(body []byte) bool {
	if len(body) < 7 || body[0] != 4 || body[4]&0xe3 != 0x60 {
		return false
	}
	at, sums, tail := 7, 0, 0
	if body[4]&8 != 0 {
		at += 8
	}
	if body[4]&16 != 0 {
		sums = 4
	}
	if body[4]&4 != 0 {
		tail = 4
	}
	for at+4 <= len(body) {
		n := int(binary.LittleEndian.Uint32(body[at:]) &^ (1 << 31))
		at += 4
		if n == 0 {
			return at+tail == len(body)
		}
		at += n + sums
	}
	return false
}

// sameAsLz4Reader checks that the verdict and the bytes are those of the library's reader.
func sameAsLz4Reader(t *testing.T, body []byte) {
	t.Helper()
	const limit = 1 << 20
	out, err := unlz4(nil, body, limit)
	n, sizeErr := sizeLz4(body, limit)
	if err == nil && (sizeErr != nil || n != len(out)) || errors.Is(err, errLimit) != errors.Is(sizeErr, errLimit) {
		t.Fatalf("%d bytes, %v, but a size of %d, %v", len(out), err, n, sizeErr)
	}
	want, wantErr := io.ReadAll(io.LimitReader(lz4.NewReader(bytes.NewReader(body)), limit+1))
	if !oneLz4Frame(body) {
		want, wantErr = nil, errLz4Frame
	}
	if len(want) > limit {
		want, wantErr = nil, errLimit
	}
	if wantErr != nil {
		want = nil
	}
	if (err == nil) != (wantErr == nil) || errors.Is(err, errLimit) != errors.Is(wantErr, errLimit) || !bytes.Equal(out, want) {
		t.Fatalf("%x: %d bytes, %v; the library: %d bytes, %v", body, len(out), err, len(want), wantErr)
	}
}

func FuzzLz4(f *testing.F) {
	for _, body := range [][]byte{{}, []byte("a"), logLines(700), make([]byte, 5000), bytes.Repeat([]byte("abc"), 700)} {
		for _, frame := range lz4Frames(f, body) {
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 6 { // or hardly any would get to the blocks
			n := 6
			if body[4]&lz4Size != 0 && len(body) > 14 {
				n = 14
			}
			body = bytes.Clone(body)
			body[n] = byte(xxh32(body[4:n]) >> 8)
		}
		workbound.Check(t, 100*lz4Ratio*len(body), func() { sameAsLz4Reader(t, body) })
	})
}
