package inflate

import "math/bits"

// An entry of a table is what a code stands for:
//
//	31     literal
//	16-30  the literal, the base of a length or distance, or where a subtable begins
//	15     neither literal nor length nor distance, but:
//	14       a subtable
//	13       the end of the block; without either, no code begins with these bits
//	8-11   bits of the code; of a subtable's pointer, bits of its index
//	0-5    bits to consume: those of the code and its extra bits; of a pointer, those of the table
const (
	isLiteral  = 1 << 31
	isSpecial  = 1 << 15
	isSubtable = 1 << 14
	isEnd      = 1 << 13

	noCode = isSpecial
)

const (
	maxCode  = 15 // bits of the longest code
	litBits  = 11
	distBits = 8
	codeBits = 7 // bits of the longest code of code lengths

	maxLits  = 286
	maxDists = 30
	allLits  = 288 // with those that only the fixed code has
	allDists = 32
)

// The tables have room for the subtables of any code: 2342 entries and 402 are enough
// (zlib's examples/enough.c). Their sizes are powers of two, so that a masked index needs no check.
type (
	litTable  [4096]uint32
	distTable [512]uint32
	codeTable [1 << codeBits]uint32
)

// What symbols stand for, as entries without the bits of their code.
var (
	litEntries  = makeLitEntries()
	distEntries = makeDistEntries()
	codeEntries = makeCodeEntries()
)

func makeLitEntries() (all [allLits]uint32) {
	for i := range 256 {
		all[i] = isLiteral | uint32(i)<<16
	}
	all[256] = isSpecial | isEnd
	base := uint32(3)
	for i := 257; i < 285; i++ {
		extra := uint32(0)
		if i >= 265 {
			extra = uint32(i-261) / 4
		}
		all[i] = base<<16 | extra
		base += 1 << extra
	}
	all[285] = maxMatch << 16
	all[286], all[287] = noCode, noCode
	return all
}

func makeDistEntries() (all [allDists]uint32) {
	base := uint32(1)
	for i := range maxDists {
		extra := uint32(0)
		if i >= 4 {
			extra = uint32(i-2) / 2
		}
		all[i] = base<<16 | extra
		base += 1 << extra
	}
	all[30], all[31] = noCode, noCode
	return all
}

func makeCodeEntries() (all [19]uint32) {
	for i := range all {
		all[i] = uint32(i) << 16
	}
	return all
}

// build makes the table for the code whose symbol i has lengths[i] bits, or none. It reports
// whether the lengths make a complete code. As in zlib, a code of a single symbol of one bit
// counts as one, and so does one without any symbol, which nothing can use.
func build(table []uint32, width int, lengths []uint8, entries []uint32) bool {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n&maxCode]++
	}
	count[0] = 0
	used, symbols := 0, 0
	for n, c := range count {
		used += c << (maxCode - n)
		symbols += c
	}
	if used < 1<<maxCode {
		fill(table[:1<<width], noCode)
		switch {
		case symbols == 0:
			return true
		case symbols > 1 || count[1] != 1:
			return false
		}
	}
	if used > 1<<maxCode {
		return false
	}
	var sorted [allLits]uint16
	sortByLength(&sorted, lengths, &count)
	if symbols == 1 {
		e := entries[sorted[0]] + 1<<8 + 1
		for i := 0; i < 1<<width; i += 2 {
			table[i] = e
		}
		return true
	}
	fillTable(table, width, sorted[:symbols], &count, entries)
	return true
}

func fill(s []uint32, v uint32) {
	for i := range s {
		s[i] = v
	}
}

// sortByLength sorts the symbols by the length of their codes, those of one length by number.
func sortByLength(sorted *[allLits]uint16, lengths []uint8, count *[maxCode + 1]int) {
	var next [maxCode + 1]int
	for n := 1; n < maxCode; n++ {
		next[n+1] = next[n] + count[n]
	}
	for i, n := range lengths {
		if n != 0 {
			sorted[next[n&maxCode]] = uint16(i)
			next[n&maxCode]++
		}
	}
}

// fillTable fills the table of a complete code. Codes are read from the lowest bit on, so that
// they stand here reversed: the next code is the present one plus one, carried downwards. What
// has been filled for codes of n bits is repeated when it comes to those of n+1.
func fillTable(table []uint32, width int, sorted []uint16, count *[maxCode + 1]int, entries []uint32) {
	code, n, i := uint32(0), 1, 0
	for ; n <= width; n++ {
		for range count[n] {
			table[code] = entries[sorted[i]] + uint32(n)<<8 + uint32(n)
			code = nextCode(code, n)
			i++
		}
		if n < width {
			copy(table[1<<n:2<<n], table[:1<<n])
		}
	}
	end := 1 << width // of the subtables so far
	start, prefix := 0, ^uint32(0)
	for ; n <= maxCode; n++ {
		for left := count[n]; left > 0; left-- {
			if p := code & (1<<width - 1); p != prefix {
				prefix, start = p, end
				more := subtableBits(n-width, left, count[n+1:])
				end += 1 << more
				table[prefix] = uint32(start)<<16 | isSpecial | isSubtable | uint32(more)<<8 | uint32(width)
			}
			e := entries[sorted[i]] + uint32(n-width)<<8 + uint32(n-width)
			for at := start + int(code>>width); at < end; at += 1 << (n - width) {
				table[at] = e
			}
			code = nextCode(code, n)
			i++
		}
	}
}

// subtableBits returns how wide a subtable must be that begins with a code of bits more than
// the table's. left is how many codes of that length there are, longer of each longer one.
func subtableBits(bits, left int, longer []int) int {
	space := left
	for space < 1<<bits {
		space = space<<1 + longer[0]
		longer = longer[1:]
		bits++
	}
	return bits
}

// nextCode returns the reversed code of n bits that follows code, or 0 after the last one.
func nextCode(code uint32, n int) uint32 {
	free := code ^ (1<<n - 1)
	if free == 0 {
		return 0
	}
	bit := uint32(1) << (bits.Len32(free) - 1)
	return code&(bit-1) | bit
}
