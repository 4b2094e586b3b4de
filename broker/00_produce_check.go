package broker

import (
	"encoding/binary"
	"fmt"

	"varve/kafka"
)

// maxProduceItems is how many topics and partitions one produce request may name.
const maxProduceItems = 200_000

// checkProduce walks through a produce request without allocating: kmsg makes
// room for as many topics and partitions as a count claims, which may be millions
// in a frame of a few megabytes. Versions 0 to 2 lack the transactional id; 9 and
// above are flexible; 13 and above name topics by id.
func checkProduce(body []byte, version int16) error {
	w := walker{b: body, flexible: version >= 9}
	if version >= 3 {
		w.skip(w.stringLen())
	}
	w.skip(2 + 4) // acks, timeout
	topics := w.count()
	items := topics
	for range topics {
		if version >= 13 {
			w.skip(16)
		} else {
			w.skip(w.stringLen())
		}
		partitions := w.count()
		if items += partitions; w.bad || items > maxProduceItems {
			break
		}
		for range partitions {
			w.skip(4)
			w.skip(w.bytesLen())
			w.tags()
		}
		w.tags()
	}
	w.tags()
	switch {
	case items > maxProduceItems:
		return fmt.Errorf("a produce request with more than %d topics and partitions: %w", maxProduceItems, kafka.ErrFrame)
	case w.bad:
		return fmt.Errorf("a produce request that ends early: %w", kafka.ErrFrame)
	}
	return nil
}

// walker steps over the fields of a request; bad sticks.
type walker struct {
	b        []byte
	flexible bool
	bad      bool
}

func (w *walker) skip(n int) {
	if w.bad || n < 0 || n > len(w.b) {
		w.bad, w.b = true, nil
		return
	}
	w.b = w.b[n:]
}

// uvarint reads a number; as a length or count it is checked where it is used.
func (w *walker) uvarint() int {
	v, n := binary.Uvarint(w.b)
	if n <= 0 || v > 1<<32 {
		w.bad, w.b = true, nil
		return 0
	}
	w.b = w.b[n:]
	return int(v)
}

func (w *walker) fixed(n int) int {
	if w.bad || len(w.b) < n {
		w.bad, w.b = true, nil
		return 0
	}
	var v int
	if n == 2 {
		v = int(int16(binary.BigEndian.Uint16(w.b)))
	} else {
		v = int(int32(binary.BigEndian.Uint32(w.b)))
	}
	w.b = w.b[n:]
	return v
}

// length reads a length of n bytes, or a compact one; null is 0.
func (w *walker) length(n int) int {
	if w.flexible {
		return max(0, w.uvarint()-1)
	}
	return max(0, w.fixed(n))
}

func (w *walker) stringLen() int { return w.length(2) }
func (w *walker) bytesLen() int  { return w.length(4) }

// count reads an array's length, which can't exceed the bytes that are left.
func (w *walker) count() int {
	n := w.length(4)
	if n > len(w.b) {
		w.bad, w.b = true, nil
		return 0
	}
	return n
}

func (w *walker) tags() {
	if !w.flexible {
		return
	}
	for n := w.uvarint(); n > 0 && !w.bad; n-- {
		w.uvarint()
		w.skip(w.uvarint())
	}
}
