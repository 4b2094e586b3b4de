package inflate

import "encoding/binary"

// The kinds of a block.
const (
	stored = iota
	fixed
	dynamic
)

// blocks decompresses the blocks of one member. Afterwards pos is at the first byte after them.
func (d *decoder) blocks() error {
	d.acc, d.n = 0, 0
	for {
		head, err := d.take(3)
		if err != nil {
			return err
		}
		if err := d.block(head >> 1); err != nil {
			return err
		}
		if head&1 != 0 {
			d.align()
			return nil
		}
	}
}

func (d *decoder) block(kind uint64) error {
	switch kind {
	case stored:
		return d.stored()
	case fixed:
		d.lit, d.dist = fixedLits, fixedDists
		return d.codes()
	case dynamic:
		if err := d.readCodes(); err != nil {
			return err
		}
		return d.codes()
	}
	return ErrCorrupt
}

// The fixed codes.
var fixedLits, fixedDists = makeFixed()

func makeFixed() (*litTable, *distTable) {
	var lits [allLits]uint8
	for i := range lits {
		switch {
		case i < 144:
			lits[i] = 8
		case i < 256:
			lits[i] = 9
		case i < 280:
			lits[i] = 7
		default:
			lits[i] = 8
		}
	}
	var dists [allDists]uint8
	for i := range dists {
		dists[i] = 5
	}
	lit, dist := new(litTable), new(distTable)
	build(lit[:], litBits, lits[:], litEntries[:])
	build(dist[:], distBits, dists[:], distEntries[:])
	return lit, dist
}

// refill reads whole bytes until there are 56 to 63 bits, or no more input.
func (d *decoder) refill() {
	for d.n < 56 && d.pos < len(d.in) {
		d.acc |= uint64(d.in[d.pos]) << d.n
		d.n += 8
		d.pos++
	}
}

// take returns the next n bits.
func (d *decoder) take(n uint) (uint64, error) {
	if d.n < n {
		if d.refill(); d.n < n {
			return 0, ErrTruncated
		}
	}
	v := d.acc & (1<<n - 1)
	d.acc >>= n
	d.n -= n
	return v, nil
}

// align drops the bits up to the next whole byte and puts the bytes after it back.
func (d *decoder) align() {
	d.pos -= int(d.n / 8)
	d.acc, d.n = 0, 0
}

// stored copies a block that isn't compressed.
func (d *decoder) stored() error {
	d.align()
	rest := d.in[d.pos:]
	if len(rest) < 4 {
		return ErrTruncated
	}
	n := int(binary.LittleEndian.Uint16(rest))
	if n != int(^binary.LittleEndian.Uint16(rest[2:])) {
		return ErrCorrupt
	}
	d.pos += 4
	here := min(n, len(rest)-4)
	for left := here; left > 0; {
		part := min(left, window) // what fits into the buffer of Size
		if err := d.makeRoom(part); err != nil {
			return err
		}
		d.at += copy(d.out[d.at:], d.in[d.pos:d.pos+part])
		d.pos += part
		left -= part
	}
	if here < n {
		return ErrTruncated
	}
	return nil
}

// order is in which the lengths of the code of code lengths stand.
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readCodes reads the codes of a dynamic block and makes the tables for them.
func (d *decoder) readCodes() error {
	head, err := d.take(14)
	if err != nil {
		return err
	}
	lits, dists, codes := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if lits > maxLits || dists > maxDists {
		return ErrCorrupt
	}
	var codeLengths [19]uint8
	for _, symbol := range order[:codes] {
		n, err := d.take(3)
		if err != nil {
			return err
		}
		codeLengths[symbol] = uint8(n)
	}
	var table codeTable
	if !build(table[:], codeBits, codeLengths[:], codeEntries[:]) {
		return ErrCorrupt
	}
	var lengths [maxLits + maxDists]uint8
	if err := d.readLengths(lengths[:lits+dists], &table); err != nil {
		return err
	}
	if !build(d.ownLit[:], litBits, lengths[:lits], litEntries[:]) || !build(d.ownDist[:], distBits, lengths[lits:lits+dists], distEntries[:]) {
		return ErrCorrupt
	}
	d.lit, d.dist = &d.ownLit, &d.ownDist
	return nil
}

// readLengths reads the lengths of codes, which are themselves in a code: 0 to 15 are lengths,
// 16 repeats the one before, 17 and 18 are several zeros.
func (d *decoder) readLengths(lengths []uint8, table *codeTable) error {
	for i := 0; i < len(lengths); {
		if d.n < codeBits+7 {
			d.refill()
		}
		e := table[d.acc&(1<<codeBits-1)]
		if e&isSpecial != 0 {
			return ErrCorrupt
		}
		if _, err := d.take(uint(e & 63)); err != nil {
			return err
		}
		symbol := e >> 16
		if symbol < 16 {
			lengths[i] = uint8(symbol)
			i++
			continue
		}
		repeat := repeats[symbol-16]
		extra, err := d.take(repeat.extra)
		if err != nil {
			return err
		}
		n, value := repeat.least+int(extra), uint8(0)
		if symbol == 16 {
			if i == 0 {
				return ErrCorrupt
			}
			value = lengths[i-1]
		}
		if n > len(lengths)-i {
			return ErrCorrupt
		}
		for range n {
			lengths[i] = value
			i++
		}
	}
	return nil
}

// repeats are the least number and the extra bits of the symbols 16 to 18.
var repeats = [3]struct {
	least int
	extra uint
}{{3, 2}, {3, 3}, {11, 7}}
