package read

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds the read path.
type Config struct {
	// MemoryBytes is all that reads may hold: chunks and blocks that are cached,
	// being loaded, or lent to responses. At least 8 chunks.
	MemoryBytes int64 `yaml:"memory_bytes" share:"memory" doc:"memory for reads from the bucket, in bytes: cached chunks, chunks being loaded and chunks lent to responses; at least 8 chunks"`
	// MetaBytes is how much of indexes and manifest pages is cached.
	MetaBytes int64 `yaml:"meta_bytes" share:"memory" doc:"memory for cached indexes and manifest pages, in bytes"`
	// ChunkBytes is the size of the aligned pieces in which objects are read;
	// 256 KiB to 64 MiB.
	ChunkBytes int `yaml:"chunk_bytes" share:"memory" doc:"size of the aligned pieces in which objects are read, in bytes; 256 KiB to 64 MiB"`
	// ReadaheadBytes is how far ahead of a sequential reader is read at most; 0
	// is not at all.
	ReadaheadBytes int64 `yaml:"readahead_bytes" doc:"maximum readahead for a sequential reader, in bytes; 0: no readahead"`
	// MaxRequests is how many requests are under way at once; 1 to 1024.
	MaxRequests int `yaml:"max_requests" doc:"maximum number of concurrent requests to the bucket; 1 to 1024"`
	// BytesPerSecond bounds what is read from the bucket; 0 is without limit.
	BytesPerSecond int64 `yaml:"bytes_per_second" doc:"maximum rate of reads from the bucket, in bytes per second; 0: unlimited"`
	// RequestTimeout ends a request, and Attempts is how often it is made.
	RequestTimeout time.Duration `yaml:"request_timeout" doc:"request timeout"`
	Attempts       int           `yaml:"attempts" doc:"number of attempts of a request, including the first"`
	// HedgeAfter is the least time after which a second request is sent beside a
	// slow one; later if most requests take longer. 0 is never.
	HedgeAfter time.Duration `yaml:"hedge_after" doc:"shortest time after which a slow request is hedged with a second one; longer if most requests take longer; 0: never"`
	// MemoryWait is how long a read that has nothing yet waits for memory.
	MemoryWait time.Duration `yaml:"memory_wait" doc:"longest time that a read waits for memory before it fails"`
	// MaxRecordBytes bounds a batch's records when they have to be decompressed,
	// which only searches by time do.
	MaxRecordBytes int `yaml:"max_record_bytes" doc:"maximum decompressed size of a batch in look-ups by time, in bytes"`
}

// DefaultConfig is what suits an agent.
func DefaultConfig() Config {
	return Config{MemoryBytes: 64 << 20, MetaBytes: 16 << 20, ChunkBytes: 4 << 20, ReadaheadBytes: 32 << 20,
		MaxRequests: 16, RequestTimeout: 15 * time.Second, Attempts: 3, HedgeAfter: 250 * time.Millisecond, MemoryWait: 5 * time.Second, MaxRecordBytes: 128 << 20}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range []struct {
		name             string
		value, low, high int64
	}{
		{"chunk_bytes", int64(c.ChunkBytes), 256 << 10, 64 << 20},
		{"memory_bytes", c.MemoryBytes, 8 * int64(c.ChunkBytes), 1 << 40},
		{"meta_bytes", c.MetaBytes, 1 << 20, 1 << 40},
		{"readahead_bytes", c.ReadaheadBytes, 0, c.MemoryBytes / 2},
		{"max_requests", int64(c.MaxRequests), 1, 1024},
		{"bytes_per_second", c.BytesPerSecond, 0, 1 << 50},
		{"attempts", int64(c.Attempts), 1, 100},
		{"max_record_bytes", int64(c.MaxRecordBytes), 1 << 20, 1 << 30},
	} {
		if f.value < f.low || f.value > f.high {
			bad("%s: %d, allowed is %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	if c.RequestTimeout <= 0 {
		bad("request_timeout: %v, allowed is more than 0", c.RequestTimeout)
	}
	if c.MemoryWait <= 0 {
		bad("memory_wait: %v, allowed is more than 0", c.MemoryWait)
	}
	if c.HedgeAfter < 0 {
		bad("hedge_after: %v, allowed is 0 or more", c.HedgeAfter)
	}
	return errors.Join(errs...)
}

// Errors of reads that callers act on.
var (
	// ErrBelowStart: the offset is below the partition's log start.
	ErrBelowStart = errors.New("offset is below the log start")
	// ErrBeyondTier: the offset is at or after the end of the tier in the head.
	ErrBeyondTier = errors.New("offset is not in the tier")
	// ErrLater, as the cause of the end of a Read's context, says that the caller will ask
	// again: loads that it waited for go on.
	ErrLater = errors.New("the reader will ask again")
	// ErrBusy: all of the read path's memory was lent to others for MemoryWait.
	ErrBusy = errors.New("no memory for reads is free")
	// ErrClosed: the reader was closed.
	ErrClosed = errors.New("tier reader is closed")
)
