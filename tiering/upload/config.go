package upload

import (
	"errors"
	"fmt"
	"time"
)

// Config is when and how records move to the bucket.
type Config struct {
	// BundleBytes is how much of small partitions is gathered before it is
	// uploaded.
	BundleBytes int64 `yaml:"bundle_bytes" share:"memory" doc:"size at which records of small partitions are uploaded together as one object, in bytes"`
	// MaxAge is longest time that a record waits before its upload begins.
	MaxAge time.Duration `yaml:"max_age" doc:"longest time that a record waits before its upload begins"`
	// SegmentBytes is from where on a partition gets objects of its own, at once.
	SegmentBytes int64 `yaml:"segment_bytes" share:"memory" doc:"size at which the waiting records of one partition are uploaded as an object of their own, in bytes"`
	// ObjectBytes bounds an object; at least BundleBytes and SegmentBytes, at most
	// 1 GiB. An object is built in memory.
	ObjectBytes int64 `yaml:"object_bytes" share:"memory" doc:"maximum size of an object, which is built in memory, in bytes; at least bundle_bytes and segment_bytes, at most 1 GiB"`
	// RoundBytes is the memory of uploading: one half is loaded from the journal while
	// the other is uploaded. It is at least twice ObjectBytes, whatever is said here; at
	// most 4 GiB.
	RoundBytes int64 `yaml:"round_bytes" share:"memory" doc:"memory for uploads, in bytes. One half is loaded from the journal while the other is uploaded; at least twice object_bytes"`
	// Concurrency is how many objects are built and uploaded at once; 1 to 64.
	Concurrency int `yaml:"concurrency" doc:"maximum number of concurrent uploads; 1 to 64"`
	// Commits is how many heads are committed at once; 1 to 4096.
	Commits int `yaml:"commits" doc:"maximum number of concurrent commits of partition heads to etcd; 1 to 4096"`
	// Compress lets blocks be compressed whose producers didn't.
	Compress bool `yaml:"compress" doc:"compress blocks whose producers did not"`
	// BytesPerSecond bounds how fast objects are built; 0 is without limit.
	BytesPerSecond int64 `yaml:"bytes_per_second" doc:"maximum rate at which objects are built, in bytes per second; 0: unlimited"`
	// CheckEvery is how often waiting records are checked.
	CheckEvery time.Duration `yaml:"check_every" doc:"how often waiting records are checked"`
	// RetryBase and RetryMax are the first and the longest pause after a failure.
	RetryBase time.Duration `yaml:"retry_base" doc:"shortest delay before a retry"`
	RetryMax  time.Duration `yaml:"retry_max" doc:"longest delay before a retry"`
}

// DefaultConfig is what suits an agent.
func DefaultConfig() Config {
	return Config{BundleBytes: 64 << 20, MaxAge: 30 * time.Second, SegmentBytes: 16 << 20, ObjectBytes: 64 << 20, RoundBytes: 128 << 20, Concurrency: 1,
		Commits: 256, Compress: true, CheckEvery: 250 * time.Millisecond, RetryBase: 500 * time.Millisecond, RetryMax: 20 * time.Second}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range []struct {
		name             string
		value, low, high int64
	}{
		{"bundle_bytes", c.BundleBytes, 1, 1 << 30},
		{"segment_bytes", c.SegmentBytes, 1, 1 << 30},
		{"object_bytes", c.ObjectBytes, max(c.BundleBytes, c.SegmentBytes), 1 << 30},
		{"round_bytes", c.RoundBytes, 1, 4 << 30},
		{"concurrency", int64(c.Concurrency), 1, 64},
		{"commits", int64(c.Commits), 1, 4096},
		{"bytes_per_second", c.BytesPerSecond, 0, 1 << 50},
	} {
		if f.value < f.low || f.value > f.high {
			bad("%s: %d, allowed is %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"max_age", c.MaxAge}, {"check_every", c.CheckEvery}, {"retry_base", c.RetryBase}, {"retry_max", c.RetryMax}} {
		if f.value <= 0 {
			bad("%s: %v, allowed is more than 0", f.name, f.value)
		}
	}
	return errors.Join(errs...)
}
