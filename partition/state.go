package partition

import "varve/internal/id"

// State is where a partition's log begins and ends, for all readers, at one moment.
type State struct {
	Epoch      id.Epoch
	LogStart   int64 // first offset that can be read
	LocalStart int64 // first offset that is in a local journal
	TieredEnd  int64 // offset after the last one in the tier
	LastStable int64 // last stable offset: everything below belongs to no open transaction
	High       int64 // high watermark: everything below is committed
	End        int64 // offset of the next append
}

// Readable returns the offset up to which a reader gets records: the last stable offset
// for one that asks for those of committed transactions only (read_committed), else the high
// watermark.
func (s *State) Readable(stable bool) int64 {
	if stable {
		return s.LastStable
	}
	return s.High
}

// State returns a consistent picture.
func (p *Partition) State() State { return p.mu.state() }

// LogStart is the first offset that can be read.
func (p *Partition) LogStart() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.log.start
}

// Sizes returns how many bytes of records are in local journals, and how many in the tier.
func (p *Partition) Sizes() (local, tier int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.log.tail.bytes, p.mu.log.head.TieredBytes()
}
