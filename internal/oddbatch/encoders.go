package oddbatch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"varve/kafka"
)

// encoders are streams as other libraries write them.
func (m *maker) encoders() {
	plain := body(three())
	for name, packed := range map[string][]byte{
		"gzip: a name in the header":       gzipped(plain, func(w *gzip.Writer) { w.Name, w.Comment, w.Extra = "records", "odd", []byte("xx") }),
		"gzip: level 9":                    gzippedAt(plain, 9),
		"gzip: stored":                     gzippedAt(plain, 0),
		"gzip: two members":                append(gzipped(plain[:20], nil), gzipped(plain[20:], nil)...),
		"gzip: an empty member at the end": append(gzipped(plain, nil), gzipped(nil, nil)...),
	} {
		m.add(name, m.packed(kafka.Gzip, packed, nil))
	}
	for name, packed := range map[string][]byte{
		"snappy: one block":               s2.EncodeSnappy(nil, plain),
		"snappy: Java's framing":          framed(1, 1, plain),
		"snappy: Java's framing, blocks":  framed(1, 1, plain[:10], plain[10:30], plain[30:]),
		"snappy: Java's framing, cut":     framed(1, 1, plain)[:40],
		"snappy: Java's framing, nothing": framed(1, 1),
		"snappy: framing of version 9":    framed(9, 9, plain),
		"snappy: S2's own codes":          s2.EncodeBetter(nil, append(bytes.Repeat([]byte("abcdefgh 123 "), 500), plain...)),
		"snappy: two of Java's streams":   append(framed(1, 1, plain[:30]), framed(1, 1, plain[30:])...),
		"snappy: a block that lies":       append(binary.AppendUvarint(nil, 1<<31), s2.EncodeSnappy(nil, plain)[1:]...),
	} {
		m.add(name, m.packed(kafka.Snappy, packed, nil))
	}
	for name, options := range map[string][]lz4.Option{
		"lz4: blocks of 64 KiB":      {lz4.BlockSizeOption(lz4.Block64Kb)},
		"lz4: blocks of 4 MiB":       {lz4.BlockSizeOption(lz4.Block4Mb)},
		"lz4: checksum of content":   {lz4.ChecksumOption(true)},
		"lz4: no checksum":           {lz4.ChecksumOption(false)},
		"lz4: checksums of blocks":   {lz4.BlockChecksumOption(true)},
		"lz4: the size of content":   {lz4.SizeOption(uint64(len(plain)))},
		"lz4: level 9":               {lz4.CompressionLevelOption(lz4.Level9)},
		"lz4: the format before 1.4": {lz4.LegacyOption(true)},
	} {
		m.add(name, m.packed(kafka.Lz4, lz4ed(plain, options...), nil))
	}
	linked := lz4ed(plain)
	linked[4] &^= 0x20 // the blocks may refer to each other
	m.add("lz4: linked blocks, a wrong header checksum", m.packed(kafka.Lz4, linked, nil))
	linked = bytes.Clone(linked)
	linked[6] = headerChecksum(linked[4:6])
	m.add("lz4: linked blocks", m.packed(kafka.Lz4, linked, nil))
	wrong := lz4ed(plain)
	wrong[6] ^= 0xff
	m.add("lz4: a wrong header checksum", m.packed(kafka.Lz4, wrong, nil))
	m.add("lz4: two frames", m.packed(kafka.Lz4, append(lz4ed(plain[:20]), lz4ed(plain[20:])...), nil))
	for name, options := range map[string][]zstd.EOption{
		"zstd: fastest":     {zstd.WithEncoderLevel(zstd.SpeedFastest)},
		"zstd: best":        {zstd.WithEncoderLevel(zstd.SpeedBestCompression)},
		"zstd: no checksum": {zstd.WithEncoderCRC(false)},
		"zstd: checksum":    {zstd.WithEncoderCRC(true)},
		"zstd: one segment": {zstd.WithSingleSegment(true)},
	} {
		m.add(name, m.packed(kafka.Zstd, zstded(plain, options...), nil))
	}
	m.add("zstd: two frames", m.packed(kafka.Zstd, append(zstded(plain[:20]), zstded(plain[20:])...), nil))
	m.add("zstd: a window of 128 MiB", m.packed(kafka.Zstd, zstdStream(plain, 128<<20), nil))
	m.add("zstd: a window of 256 MiB", m.packed(kafka.Zstd, zstdStream(plain, 256<<20), nil))
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, zstded(plain)...)
	m.add("zstd: a frame to be skipped first", m.packed(kafka.Zstd, skippable, nil))
	for codec := kafka.Gzip; codec <= kafka.Zstd; codec++ {
		m.bulk(codec)
	}
}

// bulk are a few hundred records, larger than the blocks of any codec.
func (m *maker) bulk(codec kafka.Codec) {
	rs := make([]record, 300)
	for i := range rs {
		rs[i] = record{time: int64(i), offset: int32(i), value: bytes.Repeat(fmt.Append(nil, i, " "), 300), headers: noHeaders}
	}
	counted := func(b kafka.Batch) {
		put32(b, count, uint32(len(rs)))
		put32(b, lastDelta, uint32(len(rs)-1))
		put64(b, maxTime, uint64(m.now+int64(len(rs))-1))
	}
	m.add(fmt.Sprint(codec, ": 300 large records"), m.batch(codec, body(rs), counted))
	rs[250].size = -1
	m.add(fmt.Sprint(codec, ": 300 large records, one of them broken"), m.batch(codec, body(rs), counted))
}

func gzipped(b []byte, set func(*gzip.Writer)) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if set != nil {
		set(w)
	}
	finish(w, b)
	return out.Bytes()
}

func gzippedAt(b []byte, level int) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err)
	}
	finish(w, b)
	return out.Bytes()
}

func finish(w io.WriteCloser, b []byte) {
	if _, err := w.Write(b); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
}

// framed is the stream of the Java library snappy-java.
func framed(version, compatible uint32, blocks ...[]byte) []byte {
	out := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}
	out = binary.BigEndian.AppendUint32(out, version)
	out = binary.BigEndian.AppendUint32(out, compatible)
	for _, block := range blocks {
		packed := s2.EncodeSnappy(nil, block)
		out = binary.BigEndian.AppendUint32(out, uint32(len(packed)))
		out = append(out, packed...)
	}
	return out
}

func lz4ed(b []byte, options ...lz4.Option) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(options...); err != nil {
		panic(err)
	}
	finish(w, b)
	return out.Bytes()
}

// zstdStream writes b in two parts, as a stream whose size isn't known.
func zstdStream(b []byte, window int) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(b[:10]); err != nil {
		panic(err)
	}
	if err := w.Flush(); err != nil {
		panic(err)
	}
	finish(w, b[10:])
	return out.Bytes()
}

func zstded(b []byte, options ...zstd.EOption) []byte {
	w, err := zstd.NewWriter(nil, options...)
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// headerChecksum is the checksum of an lz4 frame's descriptor: the second byte of its xxHash,
// here of the two bytes that a descriptor without a size has.
func headerChecksum(descriptor []byte) byte {
	const p1, p2, p3, p5 = 2654435761, 2246822519, 3266489917, 374761393
	h := uint32(p5) + uint32(len(descriptor))
	for _, b := range descriptor {
		h = bits.RotateLeft32(h+uint32(b)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return byte((h ^ h>>16) >> 8)
}
