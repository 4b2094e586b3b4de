package broker

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Validate returns all that doesn't fit, each with the field, its value and what is allowed.
func (c *Config) Validate() error {
	check := func(ok bool, field string, value any, allowed string) error {
		if ok {
			return nil
		}
		return fmt.Errorf("kafka.%s is %v: must be %s", field, value, allowed)
	}
	positive := func(field string, d time.Duration) error { return check(d > 0, field, d, "more than 0") }
	_, overrides := c.perIPOverrides()
	return errors.Join(
		overrides,
		check(c.DefaultPartitions >= 1 && c.DefaultPartitions <= 100000, "default_partitions", c.DefaultPartitions, "1 to 100000"),
		check(c.MaxRequestBytes >= 1<<20 && c.MaxRequestBytes <= 1<<30, "max_request_bytes", c.MaxRequestBytes, "1048576 to 1073741824"),
		check(c.RequestMemoryBytes >= int64(c.MaxRequestBytes), "request_memory_bytes", c.RequestMemoryBytes, "at least max_request_bytes"),
		check(c.SmallRequestBytes >= 2*freeRequest, "small_request_memory_bytes", c.SmallRequestBytes, "at least 4194304"),
		check(c.FetchMemoryBytes >= 1<<20, "fetch_memory_bytes", c.FetchMemoryBytes, "at least 1048576"),
		check(c.FetchMaxBytes >= 1024 && c.FetchMaxBytes <= 1<<30, "fetch_max_bytes", c.FetchMaxBytes, "1024 to 1073741824"),
		check(c.MinRequestRate >= 1, "min_request_rate", c.MinRequestRate, "1 or more"),
		check(c.MaxCommitBytes >= 64<<10, "max_commit_bytes", c.MaxCommitBytes, "65536 or more"),
		check(c.MaxOtherBytes >= 64<<10 && c.MaxOtherBytes <= 16<<20, "max_other_request_bytes", c.MaxOtherBytes, "65536 to 16777216"),
		check(c.FetchSessions >= 0, "fetch_sessions", c.FetchSessions, "0 or more"),
		check(c.MaxConnections >= 1, "max_connections", c.MaxConnections, "1 or more"),
		check(c.MaxConnectionsPerIP >= 1, "max_connections_per_ip", c.MaxConnectionsPerIP, "1 or more"),
		positive("idle_timeout", c.IdleTimeout), positive("request_timeout", c.RequestTimeout),
		positive("write_timeout", c.WriteTimeout), positive("max_throttle", c.MaxThrottle),
	)
}

// perIPOverrides returns the most connections of the addresses that have a maximum of their own.
func (c *Config) perIPOverrides() (map[string]int, error) {
	most := map[string]int{}
	for _, text := range c.PerIPOverrides {
		at := max(0, strings.LastIndexByte(text, ':'))
		ip, err := netip.ParseAddr(text[:at])
		n, bad := strconv.Atoi(strings.TrimPrefix(text[at:], ":"))
		if err != nil || bad != nil || n < 0 {
			return nil, fmt.Errorf("kafka.max_connections_per_ip_overrides has %q: must be ADDRESS:NUMBER, with an IP address", text)
		}
		most[ip.Unmap().String()] = n
	}
	return most, nil
}
