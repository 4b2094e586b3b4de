package inflate

import "encoding/binary"

// codes decompresses the symbols of a block, up to its end.
func (d *decoder) codes() error {
	for {
		done, err := d.fast()
		if err == nil && !done && d.at <= d.max {
			done, err = d.careful()
		}
		if d.at > d.max {
			return ErrLimit
		}
		if done || err != nil {
			return err
		}
	}
}

const (
	fastIn   = 16 // two loads of 8 bytes, the second of which begins 7 bytes later at most
	litMask  = 1<<litBits - 1
	distMask = 1<<distBits - 1
)

// fast decodes symbols while there are fastIn bytes of input and slack bytes of room, so that
// it needs to check neither. It reports whether it came to the block's end.
//
// A refill leaves at least 56 bits. They are enough for two literals and one symbol more (22
// bits, and 15 of a code and 5 extra ones), and, after another one, for a distance (15 and 13)
// and the next look-up, which is made before the match is copied.
func (d *decoder) fast() (done bool, err error) {
	in, out := d.in, d.out
	lit, dist := d.lit, d.dist
	pos, at, acc, n := d.pos, d.at, d.acc, d.n
	lastIn, lastOut, member := len(in)-fastIn, len(out)-slack, d.member
	if pos > lastIn || at > lastOut {
		return false, nil
	}
	acc |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
	e := lit[acc&litMask]
	for pos <= lastIn && at <= lastOut {
		acc |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
		pos += int(63-n) >> 3
		n |= 56
		if e&isLiteral != 0 {
			acc >>= e & 63
			n -= uint(e & 63)
			out[at] = byte(e >> 16)
			at++
			e = lit[acc&litMask]
			if e&isLiteral != 0 {
				acc >>= e & 63
				n -= uint(e & 63)
				out[at] = byte(e >> 16)
				at++
				e = lit[acc&litMask]
				if e&isLiteral != 0 {
					acc >>= e & 63
					n -= uint(e & 63)
					out[at] = byte(e >> 16)
					at++
					e = lit[acc&litMask]
					continue
				}
			}
		}
		if e&isSpecial != 0 {
			if e&isSubtable != 0 {
				acc >>= litBits
				n -= litBits
				e = lit[(uint64(e>>16)+acc&(1<<(e>>8&15)-1))&(uint64(len(lit))-1)]
			}
			if e&isLiteral != 0 {
				acc >>= e & 63
				n -= uint(e & 63)
				out[at] = byte(e >> 16)
				at++
				e = lit[acc&litMask]
				continue
			}
			if e&isSpecial != 0 {
				acc >>= e & 63
				n -= uint(e & 63)
				done = e&isEnd != 0
				if !done {
					err = ErrCorrupt
				}
				break
			}
		}
		length := int(e>>16) + int(acc&(1<<(e&63)-1)>>(e>>8&15))
		acc >>= e & 63
		n -= uint(e & 63)

		acc |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
		pos += int(63-n) >> 3
		n |= 56
		e = dist[acc&distMask]
		if e&isSpecial != 0 {
			if e&isSubtable != 0 {
				acc >>= distBits
				n -= distBits
				e = dist[(uint64(e>>16)+acc&(1<<(e>>8&15)-1))&(uint64(len(dist))-1)]
			}
			if e&isSpecial != 0 {
				err = ErrCorrupt
				break
			}
		}
		back := int(e>>16) + int(acc&(1<<(e&63)-1)>>(e>>8&15))
		acc >>= e & 63
		n -= uint(e & 63)
		from := at - back
		if from < member {
			err = ErrCorrupt
			break
		}
		e = lit[acc&litMask]
		if back < 8 || length > 32 {
			copyMatch(out, at, from, length)
		} else {
			w, r := out[at:at+32], out[from:from+32]
			binary.LittleEndian.PutUint64(w, binary.LittleEndian.Uint64(r))
			binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(r[8:]))
			binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(r[16:]))
			binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(r[24:]))
		}
		at += length
	}
	d.pos, d.at, d.n = pos, at, n
	d.acc = acc & (1<<(n&63) - 1)
	return done, err
}

// longCopy is from where on a call of copy costs less than a loop over words.
const longCopy = 64

// copyMatch copies a match of n bytes to at. It may write up to 7 bytes more.
func copyMatch(out []byte, at, from, n int) {
	le := binary.LittleEndian
	end := at + n
	for back := at - from; back < 8; back *= 2 { // what is repeated, until it is as long as a word
		le.PutUint64(out[at:], le.Uint64(out[from:]))
		if at += back; at >= end {
			return
		}
	}
	if n > longCopy {
		for at < end { // twice as much each time, if it repeats itself
			at += copy(out[at:end], out[from:at])
		}
		return
	}
	for ; at < end; at, from = at+8, from+8 {
		le.PutUint64(out[at:], le.Uint64(out[from:]))
	}
}

// careful decodes one symbol. It reports whether that is the block's end.
func (d *decoder) careful() (done bool, err error) {
	d.refill()
	e := d.lit[d.acc&litMask]
	if e&isSubtable != 0 {
		if _, err := d.take(litBits); err != nil {
			return false, err
		}
		e = d.lit[(uint64(e>>16)+d.acc&(1<<(e>>8&15)-1))&uint64(len(d.lit)-1)]
	}
	bits, err := d.take(uint(e & 63))
	if err != nil {
		return false, err
	}
	switch {
	case e&isLiteral != 0:
		if err := d.makeRoom(1); err != nil {
			return false, err
		}
		d.out[d.at] = byte(e >> 16)
		d.at++
		return false, nil
	case e&isEnd != 0:
		return true, nil
	case e&isSpecial != 0:
		return false, ErrCorrupt
	}
	return false, d.match(int(e>>16) + int(bits>>(e>>8&15)))
}

// match decodes the distance of a match of n bytes, and copies it.
func (d *decoder) match(n int) error {
	d.refill()
	e := d.dist[d.acc&distMask]
	if e&isSubtable != 0 {
		if _, err := d.take(distBits); err != nil {
			return err
		}
		e = d.dist[(uint64(e>>16)+d.acc&(1<<(e>>8&15)-1))&uint64(len(d.dist)-1)]
	}
	if e&isSpecial != 0 {
		return ErrCorrupt
	}
	bits, err := d.take(uint(e & 63))
	if err != nil {
		return err
	}
	back := int(e>>16) + int(bits>>(e>>8&15))
	if back > d.at-d.member {
		return ErrCorrupt
	}
	if err := d.makeRoom(n); err != nil {
		return err
	}
	from, end := d.at-back, d.at+n
	for d.at < end { // twice as much each time, if it repeats itself
		d.at += copy(d.out[d.at:end], d.out[from:d.at])
	}
	return nil
}
