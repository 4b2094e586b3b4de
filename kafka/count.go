package kafka

import "encoding/binary"

// Where a batch's header has its length and the number of its records.
const (
	lengthAt = 8
	countAt  = 57
	headEnd  = countAt + 4
)

// CountRecords sums up the records of whole batches that are contiguous, in pieces
// that may begin and end anywhere. It reads their headers only.
func CountRecords(pieces [][]byte) (n int64) {
	var head [headEnd]byte
	have := 0 // bytes of the present header
	skip := 0 // bytes up to the next
	for _, p := range pieces {
		for len(p) > 0 {
			if skip > 0 {
				k := min(skip, len(p))
				p, skip = p[k:], skip-k
				continue
			}
			if have == 0 && len(p) >= headEnd { // all of it is here
				n += int64(binary.BigEndian.Uint32(p[countAt:]))
				skip = restOf(p)
				p = p[headEnd:]
				continue
			}
			k := copy(head[have:], p)
			p, have = p[k:], have+k
			if have == headEnd {
				n += int64(binary.BigEndian.Uint32(head[countAt:]))
				skip, have = restOf(head[:]), 0
			}
		}
	}
	return n
}

// restOf is how many bytes of a batch come after its header's part that is read.
func restOf(head []byte) int {
	return max(0, int(binary.BigEndian.Uint32(head[lengthAt:]))+lengthAt+4-headEnd)
}
