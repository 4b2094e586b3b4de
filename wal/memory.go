package wal

// Memory is what a store has in use, in bytes.
type Memory struct {
	Cache int64 // write buffers and recent records
	Reads int64 // what is read from disk
	Index int64 // of the partitions, which know where each batch is
}

// Memory returns what is in use now. The index is an estimate, by what the files hold.
func (s *Store) Memory() Memory {
	return Memory{Cache: s.cache.memory(), Reads: s.reads.files.cache.memory(), Index: s.journals.appends() * indexEntry}
}

// Halve makes the store use the memory of its caches halved so many times, but never less
// than it works with; 0 is all of it.
func (s *Store) Halve(times int) {
	s.cache.resize(max(s.cfg.CacheBytes>>times, 3*s.cfg.ChunkBytes))
	s.reads.files.cache.resize(max(s.cfg.ReadBytes>>times, 4*stretchBytes))
}
