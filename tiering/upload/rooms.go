package upload

import (
	"sync/atomic"
	"time"

	"varve/internal/vfs"
)

// rooms is the memory that passes load into, in turn: the next pass is loaded while one is
// uploaded. It is kept, since new memory for each pass would have to be zeroed, page by page,
// all the time.
type rooms struct {
	both  [2][]byte
	turn  int          // whose turn it is
	bytes atomic.Int64 // of both
	used  time.Time    // when one was last taken
}

// keepRoom is how long an uploader that has nothing to do keeps its memory.
const keepRoom = 15 * time.Second

// smallRoom is what passes of a quiet agent need.
const smallRoom = 8 << 20

// take returns the next room, of total bytes at least. It grows once at most, to what any pass
// takes: each size that it had would be memory until the next collection.
func (r *rooms) take(total, most int) []byte {
	r.turn = 1 - r.turn
	room := &r.both[r.turn]
	if cap(*room) < total {
		if total <= smallRoom {
			most = smallRoom
		}
		*room = nil // before the new one is made
		*room = vfs.Aligned(wholeBlocks(max(total, most)))
		r.bytes.Store(int64(len(r.both[0]) + len(r.both[1])))
	}
	r.used = time.Now()
	return (*room)[:cap(*room)]
}

// release frees the memory if it has not been used for long.
func (r *rooms) release() {
	if time.Since(r.used) > keepRoom {
		r.both = [2][]byte{}
		r.bytes.Store(0)
	}
}

// wholeBlocks rounds a size up, so that what follows it in the room is aligned: the
// directory driver of the bucket writes aligned objects without a copy.
func wholeBlocks(n int) int { return (n + vfs.BlockBytes - 1) / vfs.BlockBytes * vfs.BlockBytes }
