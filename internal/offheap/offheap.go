// Package offheap hands out large buffers that are outside the Go heap: the collector
// neither scans nor counts them, and what is freed goes back to the system at once.
//
// A buffer must be freed once, when nothing refers to its bytes any more; after that a
// use of them ends the process. One that is forgotten is freed when its Buffer is
// collected.
package offheap

import (
	"runtime"
	"sync/atomic"

	"varve/internal/vfs"
)

var mapped atomic.Int64

// Mapped returns how many bytes are handed out.
func Mapped() int64 { return mapped.Load() }

// Buffer is zeroed memory that direct files take (vfs.Aligned).
type Buffer struct {
	bytes   []byte
	freed   atomic.Bool
	cleanup runtime.Cleanup
}

// New returns a buffer of n bytes, more than 0. If the system refuses the memory, it comes
// from the Go heap, whose failure ends the process as any other.
func New(n int) *Buffer {
	b := &Buffer{}
	raw, ok := acquire(n)
	if !ok {
		b.bytes = vfs.Aligned(n)
		return b
	}
	b.bytes = raw
	mapped.Add(int64(n))
	b.cleanup = runtime.AddCleanup(b, giveBack, raw)
	return b
}

// Bytes returns the buffer's memory. It must not be used after Free.
func (b *Buffer) Bytes() []byte { return b.bytes }

// Free returns the memory. Only the first call counts.
func (b *Buffer) Free() {
	if b.freed.Swap(true) || b.cleanup == (runtime.Cleanup{}) {
		return
	}
	b.cleanup.Stop()
	giveBack(b.bytes)
	runtime.KeepAlive(b)
}

func giveBack(raw []byte) {
	mapped.Add(-int64(len(raw)))
	release(raw)
}
