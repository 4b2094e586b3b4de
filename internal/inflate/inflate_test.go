package inflate

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	stdgzip "compress/gzip"

	"github.com/klauspost/compress/gzip"

	"varve/internal/workbound"
)

// text is like the records of a producer of log lines: words and numbers.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"GET", "POST", "/api/v1/orders", "/api/v1/users", "200", "404", "status", "latency_ms", "user_id", "region", "eu-west-1", "us-east-1", "cart", "checkout"}
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "%s=%d ", words[r.IntN(len(words))], r.IntN(100_000))
	}
	return b[:n]
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func zip(t testing.TB, level int, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := stdgzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// check decompresses in each way, and with limits at and below the size.
func check(t *testing.T, packed, plain []byte) {
	t.Helper()
	for _, room := range []int{0, 1, len(plain) - 1, len(plain), len(plain) + slack, 2*len(plain) + 3*slack} {
		out, err := Append(append(make([]byte, 0, max(room, 0)+3), "abc"...), packed, len(plain))
		if err != nil || string(out) != "abc"+string(plain) {
			t.Fatalf("with room for %d bytes: %d bytes, %v", room, len(out), err)
		}
	}
	if n, err := Size(packed, len(plain)); n != len(plain) || err != nil {
		t.Fatalf("size %d, %v", n, err)
	}
	if len(plain) == 0 {
		return
	}
	if out, err := Append(nil, packed, len(plain)-1); !errors.Is(err, ErrLimit) {
		t.Fatalf("over the limit: %d bytes, %v", len(out), err)
	}
	if n, err := Size(packed, len(plain)-1); !errors.Is(err, ErrLimit) {
		t.Fatalf("over the limit: size %d, %v", n, err)
	}
}

func TestRoundTrips(t *testing.T) {
	distance := append(append(noise(300), noise(window)[300:]...), noise(300)...) // 32 KiB back
	for name, plain := range map[string][]byte{
		"nothing":                    {},
		"a byte":                     {7},
		"text":                       text(100_000),
		"noise":                      noise(100_000),
		"zeros":                      make([]byte, 1<<20),
		"matches of the longest":     bytes.Repeat(noise(maxMatch), 50),
		"matches from 32 KiB before": distance,
		"over the window of Size":    text(3 * countRoom),
		"noise twice, large":         bytes.Repeat(noise(window), 20),
	} {
		t.Run(name, func(t *testing.T) {
			for level := stdgzip.HuffmanOnly; level <= stdgzip.BestCompression; level++ {
				if len(plain) > countRoom && level > 1 && level < stdgzip.BestCompression {
					continue // the smaller ones have met these levels
				}
				check(t, zip(t, level, plain), plain)
			}
		})
	}
}

// Matches that repeat themselves are copied in words, too: by the fast loop if there are more
// bytes after them, else by the careful one.
func TestPeriods(t *testing.T) {
	for period := 1; period <= 20; period++ {
		for n := period; n < period+600; n += 1 + (n-period)/10 {
			for _, more := range []int{0, 100} {
				plain := append(bytes.Repeat(noise(period), n/period+1)[:n], noise(more)...)
				packed := zip(t, 9, plain)
				for _, room := range []int{len(plain), len(plain) + slack} {
					out, err := Append(make([]byte, 0, room), packed, len(plain))
					if err != nil || !bytes.Equal(out, plain) {
						t.Fatalf("period %d, %d bytes, %d more, room %d: %v", period, n, more, room, err)
					}
				}
			}
		}
	}
}

// A match as long and as far back as there are, at the very end of input and output.
func TestMatchAtTheEnds(t *testing.T) {
	for extra := range 20 {
		plain := noise(window + extra)
		plain = append(plain, plain[extra:extra+maxMatch]...)
		packed := zip(t, 9, plain)
		for room := 0; room < 2*slack; room += 1 + room/40 {
			buf := make([]byte, 0, len(plain)+room)
			if out, err := Append(buf, packed, len(plain)); err != nil || !bytes.Equal(out, plain) {
				t.Fatalf("%d bytes after, room %d: %v", extra, room, err)
			}
		}
	}
}

// bitWriter writes deflate by hand.
type bitWriter struct {
	bytes []byte
	n     int
}

func (w *bitWriter) bits(v, n int) *bitWriter {
	for i := range n {
		if w.n%8 == 0 {
			w.bytes = append(w.bytes, 0)
		}
		w.bytes[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
	return w
}

// code writes a Huffman code, whose highest bit comes first.
func (w *bitWriter) code(v, n int) *bitWriter {
	for i := n - 1; i >= 0; i-- {
		w.bits(v>>i&1, 1)
	}
	return w
}

// dynamic writes the head of a dynamic block with these lengths, each of them in four bits.
func (w *bitWriter) dynamic(lits, dists []int) *bitWriter {
	w.bits(1, 1).bits(dynamic, 2).bits(len(lits)-257, 5).bits(len(dists)-1, 5).bits(15, 4)
	for _, symbol := range order {
		n := 0
		if symbol < 16 {
			n = 4
		}
		w.bits(n, 3)
	}
	for _, n := range append(append([]int{}, lits...), dists...) {
		w.code(n, 4)
	}
	return w
}

// gz puts deflate between a header and a trailer.
func gz(deflate, plain []byte) []byte {
	out := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, deflate...)
	sum, size := crc32.ChecksumIEEE(plain), len(plain)
	for i := range 4 {
		out = append(out, byte(sum>>(8*i)))
	}
	for i := range 4 {
		out = append(out, byte(size>>(8*i)))
	}
	return out
}

// codeLengths returns n lengths of which those in set aren't zero.
func codeLengths(n int, set map[int]int) []int {
	all := make([]int, n)
	for symbol, bits := range set {
		all[symbol] = bits
	}
	return all
}

func TestBlocks(t *testing.T) {
	w := func() *bitWriter { return new(bitWriter) }
	small := map[int]int{'a': 1, 256: 2, 257: 2} // a is 0, the end 10, a length of 3 is 11
	for name, c := range map[string]struct {
		deflate *bitWriter
		plain   string // of what is accepted
		ok      bool
	}{
		"stored":                       {w().bits(1, 1).bits(stored, 2).bits(0, 5).bits(2, 16).bits(0xfffd, 16).bits('h', 8).bits('i', 8), "hi", true},
		"stored, nothing":              {w().bits(1, 1).bits(stored, 2).bits(0, 5).bits(0, 16).bits(0xffff, 16), "", true},
		"stored, padding isn't read":   {w().bits(1, 1).bits(stored, 2).bits(31, 5).bits(0, 16).bits(0xffff, 16), "", true},
		"stored, a wrong length":       {w().bits(1, 1).bits(stored, 2).bits(0, 5).bits(2, 16).bits(0xfffc, 16).bits('h', 8).bits('i', 8), "", false},
		"two blocks":                   {w().bits(0, 1).bits(fixed, 2).code('a'+48, 8).code(0, 7).bits(1, 1).bits(fixed, 2).code('b'+48, 8).code(0, 7), "ab", true},
		"fixed":                        {w().bits(1, 1).bits(fixed, 2).code('a'+48, 8).code(1, 7).code(0, 5).code(0, 7), "aaaa", true},
		"fixed, a literal of 9 bits":   {w().bits(1, 1).bits(fixed, 2).code(0x190+200-144, 9).code(0, 7), "\xc8", true},
		"fixed, the length 258":        {w().bits(1, 1).bits(fixed, 2).code('a'+48, 8).code(0xc0+285-280, 8).code(0, 5).code(0, 7), string(bytes.Repeat([]byte("a"), 259)), true},
		"fixed, symbol 286":            {w().bits(1, 1).bits(fixed, 2).code('a'+48, 8).code(0xc0+286-280, 8).code(0, 5).code(0, 7), "", false},
		"fixed, symbol 287":            {w().bits(1, 1).bits(fixed, 2).code('a'+48, 8).code(0xc0+287-280, 8).code(0, 5).code(0, 7), "", false},
		"fixed, distance symbol 30":    {w().bits(1, 1).bits(fixed, 2).code('a'+48, 8).code(1, 7).code(30, 5).code(0, 7), "", false},
		"distance beyond the output":   {w().bits(1, 1).bits(fixed, 2).code('a'+48, 8).code(1, 7).code(1, 5).code(0, 7), "", false},
		"distance without any output":  {w().bits(1, 1).bits(fixed, 2).code(1, 7).code(0, 5).code(0, 7), "", false},
		"kind 3":                       {w().bits(1, 1).bits(3, 2).bits(0, 13), "", false},
		"dynamic":                      {w().dynamic(codeLengths(258, small), []int{1, 1}).code(0, 1).code(3, 2).code(0, 1).code(2, 2), "aaaa", true},
		"one distance code":            {w().dynamic(codeLengths(258, small), []int{1}).code(0, 1).code(3, 2).code(0, 1).code(2, 2), "aaaa", true},
		"one distance code, the other": {w().dynamic(codeLengths(258, small), []int{1}).code(0, 1).code(3, 2).code(1, 1).code(2, 2), "", false},
		"one distance code, of 2 bits": {w().dynamic(codeLengths(258, small), []int{2}).code(0, 1).code(3, 2).code(0, 2).code(2, 2), "", false},
		"no distance code, unused":     {w().dynamic(codeLengths(258, small), []int{0}).code(0, 1).code(2, 2), "a", true},
		"no distance code, used":       {w().dynamic(codeLengths(258, small), []int{0}).code(0, 1).code(3, 2).code(0, 1).code(2, 2), "", false},
		"only the end":                 {w().dynamic(codeLengths(257, map[int]int{256: 1}), []int{0}).code(0, 1), "", true},
		"only the end, the other code": {w().dynamic(codeLengths(257, map[int]int{256: 1}), []int{0}).code(1, 1), "", false},
		"no literal code":              {w().dynamic(codeLengths(257, nil), []int{0}).code(0, 1), "", false},
		"no end":                       {w().dynamic(codeLengths(257, map[int]int{'a': 1, 'b': 1}), []int{0}).code(0, 1).code(1, 1), "", false},
		"over-subscribed":              {w().dynamic(codeLengths(257, map[int]int{'a': 1, 'b': 1, 256: 1}), []int{0}).code(0, 1), "", false},
		"over-subscribed, balanced":    {w().dynamic(codeLengths(257, map[int]int{'a': 1, 'b': 1, 'c': 1, 256: 15}), []int{0}).code(0, 1), "", false},
		"incomplete":                   {w().dynamic(codeLengths(257, map[int]int{'a': 2, 256: 2}), []int{0}).code(0, 2).code(1, 2), "", false},
		"incomplete distances":         {w().dynamic(codeLengths(258, small), []int{2, 2}).code(0, 1).code(2, 2), "", false},
		"over-subscribed distances":    {w().dynamic(codeLengths(258, small), []int{1, 1, 1}).code(0, 1).code(2, 2), "", false},
		"286 literals and lengths":     {w().dynamic(codeLengths(286, small), codeLengths(30, map[int]int{0: 1})).code(0, 1).code(2, 2), "a", true},
		"287 literals and lengths":     {w().dynamic(codeLengths(287, small), []int{1}).code(0, 1).code(2, 2), "", false},
		"31 distances":                 {w().dynamic(codeLengths(258, small), codeLengths(31, map[int]int{0: 1})).code(0, 1).code(2, 2), "", false},
		"a repetition of nothing": {w().bits(1, 1).bits(dynamic, 2).bits(0, 10).bits(0, 4).bits(1, 3).bits(1, 3).bits(0, 6). // 16 is 0, 17 is 1
																	code(0, 1).bits(3, 2), "", false},
		"a repetition too many": {w().bits(1, 1).bits(dynamic, 2).bits(0, 10).bits(0, 4).bits(0, 3).bits(1, 3).bits(1, 3).bits(0, 3). // 17 is 0, 18 is 1
																		code(1, 1).bits(127, 7).code(1, 1).bits(127, 7), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			packed := gz(c.deflate.bytes, []byte(c.plain))
			for _, packed := range [][]byte{packed, append(bytes.Clone(packed), zip(t, 6, nil)...), append(bytes.Clone(packed), zip(t, 0, noise(300))...)[:len(packed)]} {
				out, err := Append(nil, packed, 1<<20)
				n, sizeErr := Size(packed, 1<<20)
				if c.ok && (err != nil || string(out) != c.plain || sizeErr != nil || n != len(c.plain)) {
					t.Errorf("%q, %v; size %d, %v", out, err, n, sizeErr)
				}
				if !c.ok && (err == nil || sizeErr == nil) {
					t.Errorf("%q, size %d", out, n)
				}
			}
			sameAsOthers(t, packed)
		})
	}
}

// Codes of all lengths, so that there are subtables of several widths.
func TestLongCodes(t *testing.T) {
	lits := map[int]int{}
	for i := range 14 {
		lits['a'+i] = i + 1
	}
	lits[256], lits[285] = 15, 15
	dists := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15}
	w := new(bitWriter).dynamic(codeLengths(286, lits), dists)
	var plain []byte
	code := func(length int) (code int) { return 1<<length - 2 } // of the first codes of each length
	for range 20 {
		for i := range 14 {
			w.code(code(i+1), i+1)
			plain = append(plain, byte('a'+i))
		}
	}
	w.code(1<<15-1, 15).code(1<<15-1, 15).bits(63, 6) // 258 bytes from 193 + 63 bytes before
	for range maxMatch {
		plain = append(plain, plain[len(plain)-193-63])
	}
	w.code(1<<15-2, 15)
	check(t, gz(w.bytes, plain), plain)
}

// TestMembers: what may stand around deflate, and what not.
func TestMembers(t *testing.T) {
	one, two := zip(t, 6, []byte("one")), zip(t, 6, []byte("two"))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	named := func(flags byte, fields string, sum bool) []byte {
		head := append([]byte{0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255}, fields...)
		if sum {
			v := crc32.ChecksumIEEE(head)
			head = append(head, byte(v), byte(v>>8))
		}
		return append(head, one[headerBytes:]...)
	}
	long := func(n int) string { return string(bytes.Repeat([]byte("n"), n)) + "\x00" }
	for name, c := range map[string]struct {
		packed []byte
		plain  string
		ok     bool
	}{
		"one":                     {one, "one", true},
		"two":                     {join(one, two), "onetwo", true},
		"an empty one between":    {join(one, zip(t, 6, nil), two), "onetwo", true},
		"nothing":                 {nil, "", false},
		"zeros after it":          {join(one, make([]byte, 20)), "", false},
		"a zero after it":         {join(one, []byte{0}), "", false},
		"garbage after it":        {join(one, []byte("some more bytes")), "", false},
		"a piece of a header":     {join(one, two[:9]), "", false},
		"a header and no more":    {join(one, two[:10]), "", false},
		"a match into the former": {join(one, gz(new(bitWriter).bits(1, 1).bits(fixed, 2).code(1, 7).code(0, 5).code(0, 7).bytes, []byte("eee"))), "", false},
		"all fields":              {named(flagExtra|flagName|flagComment|flagSum|1, "\x02\x00xxname\x00comment\x00", true), "one", true},
		"a wrong header checksum": {named(flagName|flagSum, "name\x00\x00\x00", false), "", false},
		"a name of 511 bytes":     {named(flagName, long(511), false), "one", true},
		"a name of 512 bytes":     {named(flagName, long(512), false), "", false},
		"flag 5":                  {named(1<<5, "", false), "", false},
		"flag 7":                  {named(1<<7, "", false), "", false},
		"method 7":                {join([]byte{0x1f, 0x8b, 7}, one[3:]), "", false},
		"cut in the first's name": {[]byte{0x1f, 0x8b, 8, flagName, 0, 0, 0, 0, 0, 255, 'n'}, "", false},
		"cut in the second's":     {join(one, []byte{0x1f, 0x8b, 8, flagName, 0, 0, 0, 0, 0, 255, 'n'}), "one", true},
		"cut in the extra field":  {join(one, []byte{0x1f, 0x8b, 8, flagExtra, 0, 0, 0, 0, 0, 255, 9, 0, 1}), "", false},
		"a wrong checksum":        {join(one[:len(one)-8], []byte{0}, one[len(one)-7:]), "", false},
		"a wrong size":            {join(one[:len(one)-4], []byte{4, 0, 0, 0}), "", false},
		"a size that lies, large": {join(one[:len(one)-4], []byte{0xff, 0xff, 0xff, 0xff}), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Append(nil, c.packed, 1<<20)
			if c.ok != (err == nil) || c.ok && string(out) != c.plain {
				t.Errorf("%q, %v", out, err)
			}
			sameAsOthers(t, c.packed)
		})
	}
}

func TestEveryTruncation(t *testing.T) {
	plain := append(text(500), noise(100)...)
	for level := stdgzip.HuffmanOnly; level <= stdgzip.BestCompression; level++ {
		packed := zip(t, level, plain)
		for n := range packed {
			if out, err := Append(nil, packed[:n:n], 1<<20); err == nil {
				t.Errorf("level %d, %d of %d bytes: %d bytes", level, n, len(packed), len(out))
			}
			if _, err := Size(packed[:n:n], 1<<20); err == nil {
				t.Errorf("level %d, %d of %d bytes have a size", level, n, len(packed))
			}
		}
	}
}

// allocated returns how much memory do takes in all.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// An output over the limit, and a false size, take no more memory than the limit.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 1 << 20
	bomb := zip(t, 9, make([]byte, 64<<20))
	lies := bytes.Clone(bomb)
	copy(lies[len(lies)-4:], []byte{0xff, 0xff, 0xff, 0x7f})
	for name, packed := range map[string][]byte{"large": bomb, "lies": lies} {
		n := allocated(func() {
			if _, err := Append(nil, packed, limit); !errors.Is(err, ErrLimit) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if n > 2*limit {
			t.Errorf("%s: %d bytes for a limit of %d", name, n, limit)
		}
	}
	n := allocated(func() {
		if n, err := Size(bomb, 64<<20); n != 64<<20 || err != nil {
			t.Error(n, err)
		}
	})
	if n > 2*countRoom {
		t.Errorf("%d bytes to count", n)
	}
}

// Blocks without data cost their codes' tables.
func TestWorkIsBounded(t *testing.T) {
	for name, set := range map[string]func(*bitWriter){
		"fixed": func(w *bitWriter) { w.bits(0, 1).bits(fixed, 2).code(0, 7) },
		"dynamic": func(w *bitWriter) { // 1 is 0, 18 is 1: no literal, the end and a distance of one bit
			w.bits(0, 1).bits(dynamic, 2).bits(0, 10).bits(14, 4).bits(0, 6).bits(1, 3).bits(0, 14*3).bits(1, 3)
			w.code(1, 1).bits(127, 7).code(1, 1).bits(107, 7).code(0, 1).code(0, 1).code(0, 1)
		},
	} {
		w := new(bitWriter)
		for len(w.bytes) < 200_000 {
			set(w)
		}
		w.bits(1, 1).bits(fixed, 2).code(0, 7)
		packed := gz(w.bytes, nil)
		workbound.Check(t, len(packed), func() {
			if out, err := Append(nil, packed, 1<<20); err != nil || len(out) != 0 {
				t.Errorf("%s: %d bytes, %v", name, len(out), err)
			}
		})
	}
}

// read decompresses with another library.
func read(packed []byte, open func(io.Reader) (io.Reader, error), limit int) ([]byte, error) {
	r, err := open(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(out) > limit {
		return nil, ErrLimit
	}
	return out, err
}

// sameAsOthers checks that the verdict and the bytes are those of another library: of
// klauspost/compress, which Kafka's clients in Go use, or of the standard library. These
// differ: the former decodes distances by the code of an earlier block if a block has none,
// the latter refuses an input that ends within the name of a further header.
func sameAsOthers(t *testing.T, packed []byte) {
	t.Helper()
	const limit = 1 << 18
	out, err := Append(nil, packed, limit)
	n, sizeErr := Size(packed, limit)
	if (err == nil) != (sizeErr == nil) || err == nil && n != len(out) || errors.Is(err, ErrLimit) != errors.Is(sizeErr, ErrLimit) {
		t.Fatalf("%d bytes, %v, but a size of %d, %v", len(out), err, n, sizeErr)
	}
	same := func(other []byte, otherErr error) bool {
		return (err == nil) == (otherErr == nil) && errors.Is(err, ErrLimit) == errors.Is(otherErr, ErrLimit) && bytes.Equal(out, other)
	}
	fast, fastErr := read(packed, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }, limit)
	if fastErr != nil {
		fast = nil
	}
	if same(fast, fastErr) {
		return
	}
	std, stdErr := read(packed, func(r io.Reader) (io.Reader, error) { return stdgzip.NewReader(r) }, limit)
	if stdErr != nil {
		std = nil
	}
	if !same(std, stdErr) {
		t.Fatalf("%d bytes, %v; klauspost: %d bytes, %v; standard library: %d bytes, %v", len(out), err, len(fast), fastErr, len(std), stdErr)
	}
}

// FuzzAppend holds this package against others. A checksum that is right would never be found,
// so that it is mended if the deflate before it is whole.
func FuzzAppend(f *testing.F) {
	for _, plain := range [][]byte{nil, []byte("a"), text(2000), noise(500), make([]byte, 3000), bytes.Repeat([]byte("abcdefg"), 200)} {
		for _, level := range []int{stdgzip.HuffmanOnly, 0, 1, 6, 9} {
			f.Add(zip(f, level, plain), true)
			f.Add(append(zip(f, level, plain), zip(f, 6, []byte("more"))...), false)
		}
	}
	f.Fuzz(func(t *testing.T, packed []byte, mend bool) {
		if mend {
			packed = mended(packed)
		}
		workbound.Check(t, maxRatio*len(packed), func() { sameAsOthers(t, packed) })
	})
}

// mended returns packed with the right trailer after its first member's blocks.
func mended(packed []byte) []byte {
	d := new(decoder)
	d.reset(packed)
	d.max = 1 << 18
	if d.header() != nil || d.blocks() != nil {
		return packed
	}
	return append(bytes.Clone(packed[:d.pos]), gz(nil, d.out[:d.at])[headerBytes:]...)
}

// BenchmarkInflate has several inputs in turn, so that the processor can't learn them.
func BenchmarkInflate(b *testing.B) {
	const size, several = 64 << 10, 32
	for _, c := range []struct {
		name  string
		plain []byte
	}{{"text", text(size * several)}, {"noise", noise(size * several)}, {"zeros", make([]byte, size*several)}} {
		for _, level := range []int{1, 6} {
			var packed [several][]byte
			for i := range packed {
				packed[i] = zip(b, level, c.plain[i*size:][:size])
			}
			b.Run(fmt.Sprintf("%s/level=%d/this", c.name, level), func(b *testing.B) {
				b.SetBytes(size)
				var dst []byte
				for i := range b.N {
					out, err := Append(dst[:0], packed[i%several], 1<<20)
					if err != nil || len(out) != size {
						b.Fatal(len(out), err)
					}
					dst = out
				}
			})
			b.Run(fmt.Sprintf("%s/level=%d/klauspost", c.name, level), func(b *testing.B) {
				b.SetBytes(size)
				dst := make([]byte, size)
				r := new(gzip.Reader)
				for i := range b.N {
					if err := r.Reset(bytes.NewReader(packed[i%several])); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(r, dst); err != nil {
						b.Fatal(err)
					}
					if n, err := r.Read(dst[:1]); n != 0 || err != io.EOF {
						b.Fatal(n, err)
					}
				}
			})
		}
	}
}
