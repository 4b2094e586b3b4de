package kafka

// varints reads what records are made of, as Kafka does: zigzag varints of at most 5
// bytes for 32 bits and 10 for 64, bits beyond that ignored. bad sticks.
type varints struct {
	b   []byte
	bad bool
}

func (d *varints) fail() {
	d.bad, d.b = true, nil
}

// int32 takes a 32-bit number.
func (d *varints) int32() int32 {
	v, next := varint32(d.b, 0)
	d.skip(next)
	return v
}

// int64 takes a 64-bit number.
func (d *varints) int64() int64 {
	v, next := varint64(d.b, 0)
	d.skip(next)
	return v
}

func (d *varints) skip(n int) {
	if n > len(d.b) {
		d.fail()
		return
	}
	d.b = d.b[n:]
}

// bytes takes length-prefixed bytes; nil for a negative length, which is null.
func (d *varints) bytes() []byte {
	n := int(d.int32())
	if n < 0 {
		return nil
	}
	if n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// varint32 reads a number at a place of b and returns the place after it, which is beyond
// len(b) if the number is malformed. Numbers of one and two bytes, which most are, are fast.
func varint32(b []byte, at int) (int32, int) {
	if uint(at) < uint(len(b)) {
		c := uint32(b[at])
		if c < 0x80 {
			return int32(c>>1) ^ -int32(c&1), at + 1
		}
		if uint(at+1) < uint(len(b)) {
			if d := uint32(b[at+1]); d < 0x80 {
				c = c&0x7f | d<<7
				return int32(c>>1) ^ -int32(c&1), at + 2
			}
		}
	}
	u, next := longVarint(b, at, 5)
	return int32(uint32(u)>>1) ^ -int32(u&1), next
}

// varint64 is varint32 for 64 bits.
func varint64(b []byte, at int) (int64, int) {
	if at < len(b) && b[at] < 0x80 {
		return int64(b[at]>>1) ^ -int64(b[at]&1), at + 1
	}
	u, next := longVarint(b, at, 10)
	return int64(u>>1) ^ -int64(u&1), next
}

// longVarint reads an unsigned number of at most so many bytes; bits beyond 64 are lost, as
// in Kafka.
//
//go:noinline
func longVarint(b []byte, at, most int) (u uint64, next int) {
	for i := range most {
		if at+i >= len(b) {
			break
		}
		c := b[at+i]
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return u, at + i + 1
		}
	}
	return 0, len(b) + 1
}
