package agent

import (
	"fmt"
	"math/bits"

	"varve/internal/memshare"
	"varve/internal/settings"
)

// Memory is how a process's memory is divided.
type Memory struct {
	Total int64 // 0: it isn't, each pool has a bound of its own
	Parts []memshare.Part
}

// Heap returns how much of it is for the Go heap.
func (m *Memory) Heap() (n int64) {
	for i := range m.Parts {
		if m.Parts[i].Heap {
			n += m.Parts[i].Bytes
		}
	}
	return n
}

// SharedConfig is DefaultConfig for a process of its own: pools are shares of its memory,
// once ShareMemory has divided it.
func SharedConfig() Config {
	c := DefaultConfig()
	c.Memory = "25%"
	for _, s := range c.shared() {
		s.set(0)
	}
	for _, d := range c.derived() {
		d.set(0)
	}
	return c
}

// shared is a setting that bounds a pool.
type shared struct {
	memshare.Pool
	set func(int64)
}

// derived is a setting that follows from a pool's.
type derived struct {
	given int64
	set   func(int64)
	value func() int64 // where it isn't given
}

type integer interface{ ~int | ~int32 | ~int64 }

func setter[T integer](to *T) func(int64) { return func(v int64) { *to = T(v) } }

// Pools whose memory no setting bounds.
const (
	programBytes = 40 << 20 // the program's code and data, as far as they are used
	leastOther   = 28 << 20 // what an agent with little to do has in its heap
)

// mostIndex suffices for the smallest batches at the default of journal.hard_bytes.
const mostIndex = 4 << 30

// mostReads suffices for the readahead of many sequential readers.
const mostReads = 1 << 30

// leastMemory is what a percentage comes to at least, where there is so much.
const leastMemory = 256 << 20

// perConnection is what an open connection of a client takes: two goroutines, a buffer and a
// queue.
const perConnection = 48 << 10

// sessionPartition is what a fetch session takes for each partition that it follows.
const sessionPartition = 300

// leastReadChunk is the smallest chunk in which objects are read.
const leastReadChunk = 1 << 20

// shared lists the pools: which setting bounds each, from where on it works (floor), what it
// gets of the whole, and from where on more is of no use. The last is what Varve used before
// memory was one setting. The tail cache gets what is left.
func (c *Config) shared() []shared {
	d := DefaultConfig()
	intakes := float64(max(1, 2*(c.Replication.Factor-1))) // two buffers for each journal that is kept for another agent
	pool := func(name, setting string, given, floor, most int64, share, cost float64, heap bool, set func(int64)) shared {
		return shared{memshare.Pool{Name: name, Setting: setting, Given: given, Floor: floor, Most: most, Share: share, Cost: cost, Heap: heap, Step: 4096}, set}
	}
	fixed := func(name string, floor, most int64, share float64, heap bool) shared {
		return pool(name, "", 0, floor, most, share, 1, heap, func(int64) {})
	}
	all := []shared{
		fixed("program", programBytes, programBytes, 0, false),
		{memshare.Pool{Name: "other", Floor: leastOther, Most: 1 << 30, Share: 0.12, Cost: 1, Heap: true, Step: 4096}, func(v int64) {
			// A member's bytes are held about four times: as they came, taken apart, and in the answer to the leader.
			c.Groups.MembersBytes = min(d.Groups.MembersBytes, max(1<<20, v/6))
			c.Kafka.SessionPartitions = int(min(int64(d.Kafka.SessionPartitions), max(1<<13, v/6/sessionPartition)))
		}},
		pool("journal_cache", "journal.cache_bytes", c.Journal.CacheBytes, max(16<<20, 3*c.Journal.ChunkBytes), 0, 0, 1, false, setter(&c.Journal.CacheBytes)),
		pool("journal_reads", "journal.read_bytes", c.Journal.ReadBytes, 8<<20, d.Journal.ReadBytes, 0.04, 1, false, setter(&c.Journal.ReadBytes)),
		pool("journal_index", "journal.index_bytes", c.Journal.IndexBytes, 8<<20, mostIndex, 0.06, 1.125, true, setter(&c.Journal.IndexBytes)),
		pool("tier_reads", "read.memory_bytes", c.Read.MemoryBytes, max(8*leastReadChunk, 8*int64(c.Read.ChunkBytes)), mostReads, 0.08, 1.25, true, setter(&c.Read.MemoryBytes)),
		pool("tier_indexes", "read.meta_bytes", c.Read.MetaBytes, 1<<20, d.Read.MetaBytes, 0.01, 1.5, true, setter(&c.Read.MetaBytes)),
		pool("uploads", "upload.round_bytes", c.Upload.RoundBytes, max(8<<20, 2*max(c.Upload.ObjectBytes, c.Upload.BundleBytes, c.Upload.SegmentBytes)), d.Upload.RoundBytes, 0.08, 1.25, true, setter(&c.Upload.RoundBytes)),
		pool("large_requests", "kafka.request_memory_bytes", c.Kafka.RequestMemoryBytes, max(8<<20, int64(c.Kafka.MaxRequestBytes)), d.Kafka.RequestMemoryBytes, 0.08, 2, true, setter(&c.Kafka.RequestMemoryBytes)),
		pool("small_requests", "kafka.small_request_memory_bytes", c.Kafka.SmallRequestBytes, 8<<20, d.Kafka.SmallRequestBytes, 0.06, 1, true, setter(&c.Kafka.SmallRequestBytes)),
		pool("fetch_answers", "kafka.fetch_memory_bytes", c.Kafka.FetchMemoryBytes, 8<<20, d.Kafka.FetchMemoryBytes, 0.06, 1, true, setter(&c.Kafka.FetchMemoryBytes)),
		pool("decompression", "produce.decompress_bytes", c.Produce.DecompressBytes, 24<<20, d.Produce.DecompressBytes, 0.06, 1, true, setter(&c.Produce.DecompressBytes)),
		pool("connections", "kafka.max_connections", int64(c.Kafka.MaxConnections), 170, int64(d.Kafka.MaxConnections), 0.04, perConnection, true, setter(&c.Kafka.MaxConnections)),
	}
	all[len(all)-1].Step = 1
	if c.Replication.Factor > 1 {
		all = append(all, pool("replication", "replication.intake_bytes", c.Replication.IntakeBytes, 1<<20, d.Replication.IntakeBytes, 0.03, intakes, true, setter(&c.Replication.IntakeBytes)))
	}
	return all
}

// derived lists the settings that follow from the pools', in the order in which they do.
func (c *Config) derived() []derived {
	d := DefaultConfig()
	return []derived{
		{c.Replication.IntakeBytes, setter(&c.Replication.IntakeBytes), func() int64 { return d.Replication.IntakeBytes }}, // of an agent that is alone
		{int64(c.Kafka.MaxRequestBytes), setter(&c.Kafka.MaxRequestBytes), func() int64 { return min(int64(d.Kafka.MaxRequestBytes), c.Kafka.RequestMemoryBytes) }},
		{int64(c.Kafka.MaxCommitBytes), setter(&c.Kafka.MaxCommitBytes), func() int64 { return max(1<<20, min(int64(d.Kafka.MaxCommitBytes), c.Kafka.RequestMemoryBytes/6)) }},
		{int64(c.Kafka.MaxOtherBytes), setter(&c.Kafka.MaxOtherBytes), func() int64 { return max(256<<10, min(int64(d.Kafka.MaxOtherBytes), c.Kafka.RequestMemoryBytes/32)) }},
		{c.Journal.ChunkBytes, setter(&c.Journal.ChunkBytes), func() int64 { return max(1<<20, min(d.Journal.ChunkBytes, powerBelow(c.Journal.CacheBytes/8))) }},
		{c.Journal.FileBytes, setter(&c.Journal.FileBytes), func() int64 {
			return max(2*c.Journal.ChunkBytes, min(d.Journal.FileBytes, 2*powerBelow(c.Kafka.RequestMemoryBytes)))
		}},
		{int64(c.Read.ChunkBytes), setter(&c.Read.ChunkBytes), func() int64 {
			return max(leastReadChunk, min(int64(d.Read.ChunkBytes), powerBelow(c.Read.MemoryBytes/32)))
		}},
		{c.Upload.BundleBytes, setter(&c.Upload.BundleBytes), func() int64 { return min(d.Upload.BundleBytes, c.Upload.RoundBytes/2) }},
		{c.Upload.SegmentBytes, setter(&c.Upload.SegmentBytes), func() int64 { return min(d.Upload.SegmentBytes, c.Upload.RoundBytes/2) }},
		{c.Upload.ObjectBytes, setter(&c.Upload.ObjectBytes), func() int64 {
			return max(c.Upload.BundleBytes, c.Upload.SegmentBytes, min(d.Upload.ObjectBytes, c.Upload.RoundBytes/2))
		}},
	}
}

// powerBelow returns the largest power of two that is at most n.
func powerBelow(n int64) int64 { return 1 << max(0, bits.Len64(uint64(max(1, n)))-1) }

// ShareMemory divides the memory that the settings allow where there is so much: every
// setting that is a share and was not given gets its value. On an error they get those that
// they have without a total, so that all else can be checked.
func (c *Config) ShareMemory(size int64) (Memory, error) {
	m, err := c.divide(size)
	if err != nil {
		d := DefaultConfig()
		values := d.shared()
		for i, s := range c.shared() {
			if s.Given == 0 {
				s.set(values[i].Given)
			}
		}
	}
	for _, d := range c.derived() { // the shares that they depend on are set
		if d.given == 0 {
			d.set(d.value())
		}
	}
	if c.Read.ReadaheadBytes == DefaultConfig().Read.ReadaheadBytes {
		c.Read.ReadaheadBytes = min(c.Read.ReadaheadBytes, c.Read.MemoryBytes/2)
	}
	return m, err
}

func (c *Config) divide(size int64) (Memory, error) {
	amount, err := memshare.Parse(c.Memory, settings.ParseSize)
	if err != nil {
		return Memory{}, err
	}
	total := amount.Of(size)
	if amount.Bytes == 0 {
		least := min(leastMemory, size) // small machines work, too
		if amount.UpTo > 0 {
			least = min(least, amount.UpTo)
		}
		total = max(total, least)
	}
	if size > 0 && amount.Bytes > size {
		return Memory{}, fmt.Errorf("memory is %s: must be at most %s, which is what there is here", memshare.Text(total), memshare.Text(size))
	}
	all := c.shared()
	pools := make([]memshare.Pool, len(all))
	for i := range all {
		pools[i] = all[i].Pool
	}
	parts, err := memshare.Divide(total, pools)
	if err != nil {
		return Memory{}, err
	}
	for i := range parts {
		all[i].set(parts[i].Value)
	}
	return Memory{total, parts}, nil
}
