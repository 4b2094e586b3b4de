package replica

import (
	"errors"
	"fmt"
	"time"
)

// Config says how replication uses the network and memory.
type Config struct {
	// MaxLagBytes is how far a member may be behind before it is reported.
	MaxLagBytes int64 `yaml:"max_lag_bytes" doc:"how far a member of an ensemble may fall behind before it is replaced, in bytes"`
	// SendBytes is how much goes into one frame, but for a larger entry.
	SendBytes int64 `yaml:"send_bytes" doc:"the most that is sent to a member at once, in bytes"`
	// IntakeBytes is the memory for what arrives of one journal; there are two such.
	IntakeBytes int64 `yaml:"intake_bytes" share:"memory" doc:"half of the memory for what arrives of one journal, in bytes"`
	// Heartbeat is how often an idle connection says that it is alive; Silence is how
	// long one may be silent.
	Heartbeat time.Duration `yaml:"heartbeat" doc:"how often idle connections between members show that they are alive"`
	Silence   time.Duration `yaml:"silence" doc:"how long a connection between members may be silent before it is given up"`
	// RetryMin and RetryMax bound the pause before a member is tried again.
	RetryMin time.Duration `yaml:"retry_min" doc:"the first pause before a member is connected to again"`
	RetryMax time.Duration `yaml:"retry_max" doc:"the longest pause before a member is connected to again"`
	// MaxConnections is how many peers may be connected here at a time.
	MaxConnections int `yaml:"max_connections" doc:"connections from other agents at a time"`
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
