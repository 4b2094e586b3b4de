package wal

import "sync"

// entry is an entry in the making, or on its way to disks and members.
type entry struct {
	number uint64
	file   *file
	chunk  *chunk
	from   int64 // where in the chunk it begins
	used   int64 // header and bodies
	dir    []byte
	owners []ownedBody
	header header
}

type ownedBody struct {
	owner Owner
	at    uint32
}

func (e *entry) bytes() []byte { return e.chunk.buf[e.from:] }

// length is what the entry would take with one more body of n bytes.
func (e *entry) length(n int64) int64 {
	return alignUp(e.used + n + int64(len(e.dir)) + RecordBytes)
}

// end returns the place in the chunk where a closed entry ends.
func (e *entry) end() int64 { return e.from + int64(e.header.length) }

// fail tells the owners that their appends will never be committed.
func (e *entry) fail(err error) {
	for i := range e.owners {
		e.owners[i].owner.Failed(err)
	}
}

var entries = sync.Pool{New: func() any { return new(entry) }}

func newEntry() *entry { return entries.Get().(*entry) }

func freeEntry(e *entry) {
	clear(e.owners[:cap(e.owners)])
	*e = entry{dir: e.dir[:0], owners: e.owners[:0]}
	entries.Put(e)
}
