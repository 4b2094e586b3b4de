package broker

import (
	"fmt"

	"varve/kafka"
)

// maxCommitItems is how many topics and partitions one OffsetCommit may name.
const maxCommitItems = 200_000

// checkCommit walks through an OffsetCommit request without allocating, as checkProduce
// does with a Produce request: then it may be large. Versions 2 to 4 have a retention, 7 and
// above an instance id; 6 and above have leader epochs; 8 and above are flexible; 10 names
// topics by id.
func checkCommit(body []byte, version int16) error {
	w := walker{b: body, flexible: version >= 8}
	w.skip(w.stringLen()) // group
	w.skip(4)             // generation
	w.skip(w.stringLen()) // member
	if version >= 7 {
		w.skip(w.stringLen())
	}
	if version <= 4 {
		w.skip(8)
	}
	items := w.array(func() int {
		if version >= 10 {
			w.skip(16)
		} else {
			w.skip(w.stringLen())
		}
		n := w.array(func() int {
			w.skip(4 + 8) // partition, offset
			if version >= 6 {
				w.skip(4)
			}
			w.skip(w.stringLen()) // metadata
			w.tags()
			return 1
		})
		w.tags()
		return 1 + n
	})
	w.tags()
	switch {
	case items > maxCommitItems:
		return fmt.Errorf("an offset commit of more than %d topics and partitions: %w", maxCommitItems, kafka.ErrFrame)
	case w.bad:
		return fmt.Errorf("an offset commit that ends early: %w", kafka.ErrFrame)
	}
	return nil
}

// array steps over an array, whose elements each steps over, and returns the sum of what
// each returned. It ends early when that is too much.
func (w *walker) array(each func() int) (items int) {
	for range w.count() {
		if w.bad || items > maxCommitItems {
			break
		}
		items += each()
	}
	return items
}
