package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"varve/internal/workbound"
)

func records(n int) []NewRecord {
	rs := make([]NewRecord, n)
	for i := range rs {
		rs[i] = NewRecord{Timestamp: int64(1000 + i), Key: []byte(fmt.Sprint("k", i)), Value: []byte(strings.Repeat("value ", 20)),
			Headers: []Header{{"h", []byte("x")}, {"null", nil}}}
	}
	rs[0].Key = nil
	return rs
}

func build(t testing.TB, c Codec, n int) Batch {
	t.Helper()
	b, err := Build(c, records(n), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryCodecRoundTrips(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		b := build(t, c, 50)
		if err := b.Validate(); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		for to := None; to <= Zstd; to++ {
			r, err := rewrite(b, to)
			if err != nil {
				t.Fatalf("%v to %v: %v", c, to, err)
			}
			if err := r.Validate(); err != nil || r.Codec() != to {
				t.Fatalf("%v to %v: %v, %v", c, to, r.Codec(), err)
			}
			checkRecords(t, r, records(50))
		}
	}
}

// rewrite surveys a batch and makes it anew with another codec.
func rewrite(b Batch, to Codec) (out Batch, err error) {
	err = b.Open(1<<20, func(d Body) error {
		s, err := d.Survey()
		if err == nil {
			out, err = d.Rewrite(to, s)
		}
		return err
	})
	return out, err
}

func checkRecords(t *testing.T, b Batch, want []NewRecord) {
	t.Helper()
	b.SetBaseOffset(700)
	i := 0
	err := b.Records(1<<20, func(r *Record) error {
		w := want[i]
		hs, err := r.Headers()
		if err != nil || len(hs) != 2 || hs[0].Key != "h" || hs[1].Value != nil {
			t.Errorf("record %d: headers %v, %v", i, hs, err)
		}
		if r.Offset != 700+int64(i) || r.Timestamp != w.Timestamp || !bytes.Equal(r.Key, w.Key) || (r.Key == nil) != (w.Key == nil) || !bytes.Equal(r.Value, w.Value) {
			t.Errorf("record %d: got %+v, want %+v", i, r, w)
		}
		i++
		return nil
	})
	if err != nil || i != len(want) {
		t.Fatalf("%d of %d records, %v", i, len(want), err)
	}
}

func TestXerialSnappyIsRead(t *testing.T) {
	plain := build(t, None, 3)[BatchHeaderBytes:]
	framed := append(append([]byte{}, xerial...), 0, 0, 0, 1, 0, 0, 0, 1)
	for _, part := range [][]byte{plain[:10], plain[10:]} {
		block, _ := Compress(Snappy, nil, part)
		framed = append(framed, 0, 0, byte(len(block)>>8), byte(len(block)))
		framed = append(framed, block...)
	}
	got, err := Decompress(Snappy, framed, 1<<20)
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
}

func TestBombsAreStopped(t *testing.T) {
	zeros := make([]byte, 8<<20)
	for c := Gzip; c <= Zstd; c++ {
		bomb, err := Compress(c, nil, zeros)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decompress(c, bomb, 1<<20); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: %v", c, err)
		}
		if out, err := Decompress(c, bomb, len(zeros)); err != nil || len(out) != len(zeros) {
			t.Errorf("%v at the limit: %d, %v", c, len(out), err)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(Batch)
		want  error
	}{
		{"flipped bit", func(b Batch) { b[len(b)-1] ^= 1 }, ErrCorrupt},
		{"magic 1", func(b Batch) { b[16] = 1 }, ErrInvalidRecord},
		{"codec 5", func(b Batch) { b[22] |= 5; b.seal() }, ErrCodec},
		{"no records", func(b Batch) { b[60] = 0; b.seal() }, ErrInvalidRecord},
		{"delta", func(b Batch) { b[26]++; b.seal() }, ErrInvalidRecord},
		{"count that bytes can't hold", func(b Batch) { b[57], b[23] = 1, 1; b.seal() }, ErrInvalidRecord},
		{"id without sequence", func(b Batch) { b.SetProducer(4, 0, -1); b.seal() }, ErrInvalidRecord},
	}
	for _, c := range cases {
		b := build(t, None, 4)
		c.spoil(b)
		if err := b.Validate(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestInPlaceFieldsKeepTheChecksum(t *testing.T) {
	b := build(t, Lz4, 4)
	b.SetBaseOffset(1 << 40)
	b.SetLeaderEpoch(12)
	if err := b.Validate(); err != nil || b.BaseOffset() != 1<<40 || b.LastOffset() != 1<<40+3 || b.LeaderEpoch() != 12 {
		t.Fatalf("%d, %d, %v", b.BaseOffset(), b.LeaderEpoch(), err)
	}
	b.SetMaxTimestamp(77, true)
	if err := b.Validate(); err != nil || !b.IsLogAppendTime() || b.MaxTimestamp() != 77 {
		t.Fatalf("%d, %v", b.MaxTimestamp(), err)
	}
}

func TestSequencesWrap(t *testing.T) {
	if got := AddSequence(1<<31-1, 1); got != 0 {
		t.Errorf("got %d", got)
	}
	if got := AddSequence(1<<31-2, 4); got != 2 {
		t.Errorf("got %d", got)
	}
}

func FuzzBatch(f *testing.F) {
	for c := None; c <= Zstd; c++ {
		f.Add([]byte(build(f, c, 3)))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b, _, err := Next(in)
		if err != nil {
			return
		}
		b.seal() // so that the fuzzer gets past the checksum
		if b.Validate() != nil {
			return
		}
		n := 0
		workbound.Check(t, len(in)+1<<20, func() {
			err = b.Records(1<<20, func(r *Record) error {
				n++
				_, err := r.Headers()
				return err
			})
		})
		if err == nil && n != int(b.Count()) {
			t.Fatalf("%d records of %d", n, b.Count())
		}
	})
}

func BenchmarkValidate(bench *testing.B) {
	rs := make([]NewRecord, 64)
	for i := range rs {
		rs[i] = NewRecord{Value: make([]byte, 1000)}
	}
	b, err := Build(None, rs, nil)
	if err != nil {
		bench.Fatal(err)
	}
	bench.SetBytes(int64(len(b)))
	bench.ReportAllocs()
	for bench.Loop() {
		if err := b.Validate(); err != nil {
			bench.Fatal(err)
		}
	}
}
