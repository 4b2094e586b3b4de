package wal

// leastAppend is what an append counts for at least where the journal's budget is
// concerned. The disk is one cost of a record batch that waits for the tier; the memory
// in which its owner knows where it lies is another, and that is the same for the
// smallest batch.
const leastAppend = 256

// weight is what a file counts for in the budget; Store.mu is held.
func (f *file) weight() int64 { return max(f.size, f.appends*leastAppend) }

// appendsIn counts the appends of an entry by its directory.
func appendsIn(dir []byte) int64 { return int64(len(dir) / RecordBytes) }
