package wal

// Memory is what a store has in use, in bytes.
type Memory struct {
	Cache int64 // write buffers and recent records
	Reads int64 // what is read from disk
	Index int64 // of the partitions, which know where each batch lies
}

// Memory returns what is in use now. The index is an estimate, by what the files hold.
func (s *Store) Memory() Memory {
	m := Memory{Cache: s.cache.memory(), Reads: s.behind.cache.memory()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.mu.journals {
		for _, f := range j.files {
			m.Index += f.appends * indexEntry
		}
	}
	return m
}
