package replica

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds how replication uses the network and memory.
type Config struct {
	// MaxLagBytes is how far a member may be behind before it is reported.
	MaxLagBytes int64 `yaml:"max_lag_bytes" doc:"maximum lag of a journal member before it is replaced, in bytes"`
	// SendBytes is how much goes into one frame, but for a larger entry.
	SendBytes int64 `yaml:"send_bytes" doc:"maximum size of one replication message to another agent, in bytes"`
	// IntakeBytes is the memory for what arrives of one journal; there are two such.
	IntakeBytes int64 `yaml:"intake_bytes" share:"memory" doc:"size of each of the two receive buffers of a replicated journal, in bytes"`
	// Heartbeat is how often an idle connection shows that it is alive; Silence is how
	// long one may be silent.
	Heartbeat time.Duration `yaml:"heartbeat" doc:"interval of heartbeats on idle connections between agents"`
	Silence   time.Duration `yaml:"silence" doc:"close a connection between agents that was silent for this long"`
	// RetryMin and RetryMax bound the pause before a member is tried again.
	RetryMin time.Duration `yaml:"retry_min" doc:"shortest delay before reconnecting to an agent"`
	RetryMax time.Duration `yaml:"retry_max" doc:"longest delay before reconnecting to an agent"`
	// MaxConnections is how many peers may be connected here at a time.
	MaxConnections int `yaml:"max_connections" doc:"maximum number of connections from other agents"`
}

// DefaultConfig is a config for a local network.
func DefaultConfig() Config {
	return Config{
		MaxLagBytes: 256 << 20, SendBytes: 1 << 20, IntakeBytes: 8 << 20,
		Heartbeat: 200 * time.Millisecond, Silence: 2 * time.Second,
		RetryMin: 50 * time.Millisecond, RetryMax: time.Second,
		MaxConnections: 1024,
	}
}

// Validate returns all that doesn't fit, each with the field, its value and what is allowed.
func (c *Config) Validate() error {
	check := func(ok bool, field string, value any, allowed string) error {
		if ok {
			return nil
		}
		return fmt.Errorf("replication.%s is %v: must be %s", field, value, allowed)
	}
	return errors.Join(
		check(c.MaxLagBytes >= 1<<20, "max_lag_bytes", c.MaxLagBytes, "at least 1048576"),
		check(c.SendBytes >= 4<<10 && c.SendBytes <= 64<<20, "send_bytes", c.SendBytes, "from 4096 to 67108864"),
		check(c.IntakeBytes >= 64<<10 && c.IntakeBytes <= 256<<20 && c.IntakeBytes%4096 == 0, "intake_bytes", c.IntakeBytes, "a multiple of 4096 from 65536 to 268435456"),
		check(c.Heartbeat > 0, "heartbeat", c.Heartbeat, "more than 0"),
		check(c.Silence >= 2*c.Heartbeat, "silence", c.Silence, "at least twice heartbeat"),
		check(c.RetryMin > 0, "retry_min", c.RetryMin, "more than 0"),
		check(c.RetryMax >= c.RetryMin, "retry_max", c.RetryMax, "at least retry_min"),
		check(c.MaxConnections >= 1, "max_connections", c.MaxConnections, "at least 1"),
	)
}
