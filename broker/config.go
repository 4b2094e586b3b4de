package broker

import (
	"fmt"
	"time"
)

// Validate names the field and value that don't fit.
func (c *Config) Validate() error {
	bad := func(field string, value any, allowed string) error {
		return fmt.Errorf("kafka.%s is %v: must be %s", field, value, allowed)
	}
	switch {
	case c.DefaultPartitions < 1 || c.DefaultPartitions > 100000:
		return bad("default_partitions", c.DefaultPartitions, "1 to 100000")
	case c.MaxRequestBytes < 1<<20 || c.MaxRequestBytes > 1<<30:
		return bad("max_request_bytes", c.MaxRequestBytes, "1048576 to 1073741824")
	case c.RequestMemoryBytes < int64(c.MaxRequestBytes):
		return bad("request_memory_bytes", c.RequestMemoryBytes, "at least max_request_bytes")
	case c.FetchMaxBytes < 1024 || c.FetchMaxBytes > 1<<30:
		return bad("fetch_max_bytes", c.FetchMaxBytes, "1024 to 1073741824")
	case c.MinRequestRate < 1:
		return bad("min_request_rate", c.MinRequestRate, "1 or more")
	case c.MaxCommitBytes < 64<<10:
		return bad("max_commit_bytes", c.MaxCommitBytes, "65536 or more")
	case c.MaxOtherBytes < 64<<10 || c.MaxOtherBytes > 16<<20:
		return bad("max_other_request_bytes", c.MaxOtherBytes, "65536 to 16777216")
	case c.FetchSessions < 0:
		return bad("fetch_sessions", c.FetchSessions, "0 or more")
	case c.MaxConnections < 1:
		return bad("max_connections", c.MaxConnections, "1 or more")
	case c.MaxConnectionsPerIP < 1:
		return bad("max_connections_per_ip", c.MaxConnectionsPerIP, "1 or more")
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"idle_timeout", c.IdleTimeout}, {"request_timeout", c.RequestTimeout}, {"write_timeout", c.WriteTimeout}, {"max_throttle", c.MaxThrottle}} {
		if d.value <= 0 {
			return bad(d.field, d.value, "more than 0")
		}
	}
	return nil
}
