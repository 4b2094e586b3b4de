package group

import (
	"errors"
	"fmt"
	"math"
	"time"

	"varve/coordinator"
	"varve/group/offsets"
)

// Config are the settings of groups, by the names that Kafka has for them.
type Config struct {
	// MinSessionTimeout and MaxSessionTimeout bound what a member may ask for:
	// group.min.session.timeout.ms, group.max.session.timeout.ms.
	MinSessionTimeout time.Duration `yaml:"min_session_timeout" doc:"shortest session timeout that a member may ask for (group.min.session.timeout.ms)"`
	MaxSessionTimeout time.Duration `yaml:"max_session_timeout" doc:"longest session timeout that a member may ask for (group.max.session.timeout.ms)"`
	// InitialRebalanceDelay is how long the first rebalance of an empty group
	// waits for more members: group.initial.rebalance.delay.ms.
	InitialRebalanceDelay time.Duration `yaml:"initial_rebalance_delay" doc:"how long the first rebalance of an empty group waits for more members (group.initial.rebalance.delay.ms)"`
	// MaxSize is how many members a group may have: group.max.size.
	MaxSize        int `yaml:"max_size" doc:"how many members a group may have (group.max.size)"`
	offsets.Config `yaml:",inline"`
	// RetentionCheck is how often a group looks for expired offsets:
	// offsets.retention.check.interval.ms.
	RetentionCheck time.Duration `yaml:"retention_check" doc:"how often a group looks for expired offsets (offsets.retention.check.interval.ms)"`
	// CommitTimeout is how long a request waits for the metadata store:
	// offsets.commit.timeout.ms.
	CommitTimeout time.Duration `yaml:"commit_timeout" doc:"how long a request waits for etcd before it is told to try again (offsets.commit.timeout.ms); heartbeats that come after it on its connection are answered after it"`
	// UnloadAfter is how long a group without members stays in memory unused.
	UnloadAfter time.Duration `yaml:"unload_after" doc:"how long an unused group without members stays in memory"`
	// NewMemberJoinTimeout is how long a new member's first join may wait.
	NewMemberJoinTimeout time.Duration `yaml:"new_member_join_timeout" doc:"how long a new member's first join may wait"`
	// StoreBytesPerSecond bounds what the groups of this agent write to the metadata
	// store, which keeps it as history for a while: a commit stores all offsets of its
	// group in the 32 partitions of a shard.
	StoreBytesPerSecond int64 `yaml:"store_bytes_per_second" doc:"how much the groups of this agent write to etcd each second, in bytes (14 to 20 for each commit of a partition, and as much for the others of the same 32); commits beyond it wait, since etcd keeps all that was written during etcd.keep_history"`
}

// DefaultConfig has Kafka's defaults.
func DefaultConfig() Config {
	return Config{
		MinSessionTimeout: 6 * time.Second, MaxSessionTimeout: 30 * time.Minute,
		InitialRebalanceDelay: 3 * time.Second, MaxSize: math.MaxInt32,
		Config: offsets.DefaultConfig(), RetentionCheck: 10 * time.Minute,
		CommitTimeout: 2 * time.Second, UnloadAfter: 10 * time.Minute, NewMemberJoinTimeout: 5 * time.Minute,
		StoreBytesPerSecond: 4 << 20,
	}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range []struct {
		name             string
		value, low, high time.Duration
	}{
		{"min_session_timeout", c.MinSessionTimeout, time.Millisecond, c.MaxSessionTimeout},
		{"max_session_timeout", c.MaxSessionTimeout, time.Millisecond, math.MaxInt32 * time.Millisecond},
		{"initial_rebalance_delay", c.InitialRebalanceDelay, 0, time.Hour},
		{"retention_check", c.RetentionCheck, time.Millisecond, 24 * time.Hour},
		{"commit_timeout", c.CommitTimeout, time.Millisecond, time.Hour},
		{"unload_after", c.UnloadAfter, time.Second, 24 * time.Hour},
		{"new_member_join_timeout", c.NewMemberJoinTimeout, time.Second, time.Hour},
	} {
		if f.value < f.low || f.value > f.high {
			bad("%s: %v, allowed is %v to %v", f.name, f.value, f.low, f.high)
		}
	}
	if c.MaxSize < 1 || c.MaxSize > math.MaxInt32 {
		bad("max_size: %d, allowed is 1 to %d", c.MaxSize, math.MaxInt32)
	}
	if c.StoreBytesPerSecond < 1<<10 {
		bad("store_bytes_per_second: %d, allowed is at least 1024", c.StoreBytesPerSecond)
	}
	if err := c.Config.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// driver are the coordinator's settings.
func (c Config) driver() coordinator.Config {
	return coordinator.Config{ReadTimeout: c.CommitTimeout, RereadAfter: c.RetentionCheck, UnloadAfter: c.UnloadAfter,
		StoreBytesPerSecond: c.StoreBytesPerSecond}
}
