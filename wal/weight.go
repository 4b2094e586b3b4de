package wal

// The disk is one cost of a record batch that waits for the tier; the memory in which its
// owner knows where it is is another, and that is the same for the smallest batch.
const (
	leastWeight = 256 // of any append
	indexEntry  = 64  // bytes of memory, with the room in which the index grows
)

// leastAppend is what an append counts for at least where the journal's budget is
// concerned: with the budget used up the index is full, too.
func (c *Config) leastAppend() int64 {
	if c.IndexBytes == 0 {
		return leastWeight
	}
	return max(leastWeight, int64(float64(c.HardBytes)*indexEntry/float64(c.IndexBytes)))
}

// weight returns what a file counts for in the budget; journals.mu is held.
func (f *file) weight(c *Config) int64 { return max(f.size, f.appends*c.leastAppend()) }

// appendsIn counts the appends of an entry by its directory.
func appendsIn(dir []byte) int64 { return int64(len(dir) / RecordBytes) }
