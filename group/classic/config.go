package classic

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config are the settings of a membership, by the names that Kafka has for them.
type Config struct {
	// MinSessionTimeout and MaxSessionTimeout bound what a member may ask for:
	// group.min.session.timeout.ms, group.max.session.timeout.ms.
	MinSessionTimeout time.Duration `yaml:"min_session_timeout" doc:"shortest session timeout that a member may ask for (group.min.session.timeout.ms)"`
	MaxSessionTimeout time.Duration `yaml:"max_session_timeout" doc:"longest session timeout that a member may ask for (group.max.session.timeout.ms)"`
	// InitialRebalanceDelay is how long the first rebalance of an empty group
	// waits for more members: group.initial.rebalance.delay.ms.
	InitialRebalanceDelay time.Duration `yaml:"initial_rebalance_delay" doc:"how long the first rebalance of an empty group waits for more members (group.initial.rebalance.delay.ms)"`
	// MaxSize is how many members a group may have: group.max.size.
	MaxSize int `yaml:"max_size" doc:"maximum number of members of a group (group.max.size)"`
	// NewMemberJoinTimeout is how long a new member's first join may wait.
	NewMemberJoinTimeout time.Duration `yaml:"new_member_join_timeout" doc:"how long a new member's first join may wait"`
}

// DefaultConfig has Kafka's defaults.
func DefaultConfig() Config {
	return Config{MinSessionTimeout: 6 * time.Second, MaxSessionTimeout: 30 * time.Minute,
		InitialRebalanceDelay: 3 * time.Second, MaxSize: math.MaxInt32, NewMemberJoinTimeout: 5 * time.Minute}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name             string
		value, low, high time.Duration
	}{
		{"min_session_timeout", c.MinSessionTimeout, time.Millisecond, c.MaxSessionTimeout},
		{"max_session_timeout", c.MaxSessionTimeout, time.Millisecond, math.MaxInt32 * time.Millisecond},
		{"initial_rebalance_delay", c.InitialRebalanceDelay, 0, time.Hour},
		{"new_member_join_timeout", c.NewMemberJoinTimeout, time.Second, time.Hour},
	} {
		if f.value < f.low || f.value > f.high {
			errs = append(errs, fmt.Errorf("%s: %v, allowed is %v to %v", f.name, f.value, f.low, f.high))
		}
	}
	if c.MaxSize < 1 || c.MaxSize > math.MaxInt32 {
		errs = append(errs, fmt.Errorf("max_size: %d, allowed is 1 to %d", c.MaxSize, math.MaxInt32))
	}
	return errors.Join(errs...)
}
