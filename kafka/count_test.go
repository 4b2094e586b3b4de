package kafka

import (
	"encoding/binary"
	"testing"
)

// TestCountRecords: the same batches count the same however they are cut into pieces, and
// what is no batch ends.
func TestCountRecords(t *testing.T) {
	var all []byte
	want := int64(0)
	for i := range 5 {
		b := make([]byte, 61+i*40)
		binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
		binary.BigEndian.PutUint32(b[57:], uint32(i+1))
		all, want = append(all, b...), want+int64(i+1)
	}
	for size := 1; size <= len(all); size++ {
		var pieces [][]byte
		for rest := all; len(rest) > 0; {
			n := min(size, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if got := CountRecords(pieces); got != want {
			t.Fatalf("in pieces of %d: %d records, want %d", size, got, want)
		}
	}
	if n := CountRecords([][]byte{nil, all[:30]}); n != 0 {
		t.Errorf("%d records in half a header", n)
	}
	CountRecords([][]byte{make([]byte, 1<<16)}) // lengths of 0
}

func BenchmarkCountRecords(b *testing.B) {
	batch := make([]byte, 16<<10)
	binary.BigEndian.PutUint32(batch[8:], uint32(len(batch)-12))
	pieces := make([][]byte, 64)
	for i := range pieces {
		pieces[i] = batch
	}
	b.SetBytes(int64(len(batch) * len(pieces)))
	for b.Loop() {
		CountRecords(pieces)
	}
}
