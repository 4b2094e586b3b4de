package wal

import (
	"errors"
	"fmt"
)

// Config bounds what a store may use, and sets the size of its files.
type Config struct {
	// Dir is the directory of the journals.
	Dir string `yaml:"-"`
	// FileBytes is the size of a journal's file; files of another size are still read.
	FileBytes int64 `yaml:"file_bytes" share:"memory" doc:"size of a journal file, in bytes"`
	// ChunkBytes is the size of one buffer, and the most that one entry holds,
	// unless a single append is larger.
	ChunkBytes int64 `yaml:"chunk_bytes" share:"memory" doc:"size of a write buffer, which is the maximum size of a group commit, in bytes"`
	// CacheBytes is the memory of the tail cache, write buffers included.
	CacheBytes int64 `yaml:"cache_bytes" share:"memory" doc:"memory for write buffers and the cache of recent records, in bytes"`
	// ReadBytes is the memory for readers that lag behind the tail cache.
	ReadBytes int64 `yaml:"read_bytes" share:"memory" doc:"memory for reading the journal from disk, in bytes"`
	// IndexBytes is the memory of the owners, which know where each batch is that isn't uploaded;
	// 0 is no bound.
	IndexBytes int64 `yaml:"index_bytes" share:"memory" doc:"memory for the index of batches that wait for upload, in bytes, 64 for each. The less memory, the more a small batch counts towards soft_bytes and hard_bytes"`
	// KeepBytes is how much stays on disk as a cache after it was trimmed.
	KeepBytes int64 `yaml:"keep_bytes" doc:"size of uploaded records kept on the local disk as a read cache, in bytes"`
	// SpareBytes is how much of emptied files is kept for use again.
	SpareBytes int64 `yaml:"spare_bytes" doc:"empty journal files to keep for reuse, in bytes. A new file has to be zeroed first, which slows a burst down; fewer are kept if disk space is low"`
	// SoftBytes of untrimmed entries slow producers down; HardBytes stop them.
	SoftBytes int64 `yaml:"soft_bytes" doc:"throttle producers while more bytes than this wait for upload"`
	HardBytes int64 `yaml:"hard_bytes" doc:"refuse producers, with a retriable error, while more bytes than this wait for upload"`
	// ReserveBytes of the disk are left free by the store.
	ReserveBytes int64 `yaml:"reserve_bytes" doc:"disk space to leave free, in bytes"`
	// Direct writes around the page cache.
	Direct bool `yaml:"direct" doc:"write the journal with O_DIRECT, bypassing the page cache"`
}

// DefaultConfig is a config for a small server.
func DefaultConfig() Config {
	return Config{
		FileBytes:    64 << 20,
		ChunkBytes:   8 << 20,
		CacheBytes:   96 << 20,
		ReadBytes:    48 << 20,
		KeepBytes:    2 << 30,
		SpareBytes:   2 << 30,
		SoftBytes:    12 << 30,
		HardBytes:    16 << 30,
		ReserveBytes: 1 << 30,
		Direct:       true,
	}
}

// Validate returns all that doesn't fit, each with the field, its value and what is allowed.
func (c *Config) Validate() error {
	check := func(ok bool, field string, value int64, allowed string) error {
		if ok {
			return nil
		}
		return fmt.Errorf("journal.%s is %d: must be %s", field, value, allowed)
	}
	return errors.Join(
		check(c.ChunkBytes >= 64<<10 && c.ChunkBytes%blockBytes == 0, "chunk_bytes", c.ChunkBytes, "a multiple of 4096, from 65536"),
		check(c.FileBytes > c.ChunkBytes && c.FileBytes%blockBytes == 0 && c.FileBytes <= MaxFileBytes, "file_bytes", c.FileBytes, "a multiple of 4096, more than chunk_bytes and at most 1073741824"),
		check(c.CacheBytes >= 3*c.ChunkBytes, "cache_bytes", c.CacheBytes, "at least three times chunk_bytes"),
		check(c.ReadBytes >= 4*stretchBytes, "read_bytes", c.ReadBytes, "at least 8388608"),
		check(c.IndexBytes == 0 || c.IndexBytes >= 1<<20, "index_bytes", c.IndexBytes, "at least 1048576"),
		check(c.KeepBytes >= 0, "keep_bytes", c.KeepBytes, "0 or more"),
		check(c.SpareBytes >= 0, "spare_bytes", c.SpareBytes, "0 or more"),
		check(c.SoftBytes >= 2*c.FileBytes, "soft_bytes", c.SoftBytes, "at least twice file_bytes"),
		check(c.HardBytes >= c.SoftBytes, "hard_bytes", c.HardBytes, "at least soft_bytes"),
		check(c.ReserveBytes >= 0, "reserve_bytes", c.ReserveBytes, "0 or more"),
	)
}

// MaxAppendBytes is the largest body that Append takes: what a file holds.
func (c *Config) MaxAppendBytes() int {
	return int(c.FileBytes) - 2*blockBytes
}
