package group

import (
	"errors"
	"fmt"
	"time"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
)

// Config are the settings of groups, by the names that Kafka has for them.
type Config struct {
	Members classic.Config `yaml:",inline"`
	Offsets offsets.Config `yaml:",inline"`
	// RetentionCheck is how often a group looks for expired offsets:
	// offsets.retention.check.interval.ms.
	RetentionCheck time.Duration `yaml:"retention_check" doc:"how often a group looks for expired offsets (offsets.retention.check.interval.ms)"`
	// CommitTimeout is how long a request waits for the metadata store:
	// offsets.commit.timeout.ms.
	CommitTimeout time.Duration `yaml:"commit_timeout" doc:"longest time that a request waits for etcd before it is answered with a retriable error (offsets.commit.timeout.ms). Heartbeats that follow on the same connection are answered after it"`
	// UnloadAfter is how long a group without members stays in memory unused.
	UnloadAfter time.Duration `yaml:"unload_after" doc:"unload a group without members from memory after it was unused for this long"`
	// MembersBytes bounds what the members of all groups of this agent bring along.
	MembersBytes int64 `yaml:"-"`
	// StoreBytesPerSecond bounds what the groups of this agent write to the metadata
	// store, which keeps it as history for a while: a commit stores all offsets of its
	// group in the 32 partitions of a shard.
	StoreBytesPerSecond int64 `yaml:"store_bytes_per_second" doc:"maximum rate at which this agent's groups write to etcd, in bytes per second (14 to 20 for each committed partition, and as much for the others of the same 32). Further commits wait, since etcd keeps everything written within etcd.keep_history"`
}

// DefaultConfig has Kafka's defaults.
func DefaultConfig() Config {
	return Config{Members: classic.DefaultConfig(), Offsets: offsets.DefaultConfig(), RetentionCheck: 10 * time.Minute,
		CommitTimeout: 2 * time.Second, UnloadAfter: 10 * time.Minute, StoreBytesPerSecond: 4 << 20, MembersBytes: 256 << 20}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c Config) Validate() error {
	errs := []error{c.Members.Validate(), c.Offsets.Validate()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range []struct {
		name             string
		value, low, high time.Duration
	}{
		{"retention_check", c.RetentionCheck, time.Millisecond, 24 * time.Hour},
		{"commit_timeout", c.CommitTimeout, time.Millisecond, time.Hour},
		{"unload_after", c.UnloadAfter, time.Second, 24 * time.Hour},
	} {
		if f.value < f.low || f.value > f.high {
			bad("%s: %v, allowed is %v to %v", f.name, f.value, f.low, f.high)
		}
	}
	if c.StoreBytesPerSecond < 1<<10 {
		bad("store_bytes_per_second: %d, allowed is at least 1024", c.StoreBytesPerSecond)
	}
	return errors.Join(errs...)
}

// driver are the coordinator's settings.
func (c Config) driver() coordinator.Config {
	return coordinator.Config{ReadTimeout: c.CommitTimeout, RereadAfter: c.RetentionCheck, UnloadAfter: c.UnloadAfter,
		StoreBytesPerSecond: c.StoreBytesPerSecond}
}
