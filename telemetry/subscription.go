// Package telemetry takes the metrics that clients push (KIP-714): which client is asked for which,
// how often each may push, and the series for Prometheus that come of it.
//
// It promises the answers of Kafka's ClientMetricsManager, and that memory is bounded: of
// instances, of what a push is decompressed to, and of series.
package telemetry

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings of a subscription, by Kafka's names.
const (
	SettingMetrics  = "metrics"
	SettingInterval = "interval.ms"
	SettingMatch    = "match"
)

// DefaultInterval is how often clients push where a subscription doesn't say, and how often those
// that nothing is asked of ask again.
const DefaultInterval = 5 * time.Minute

const (
	leastInterval = 100
	mostInterval  = 3_600_000
	everything    = "*" // in metrics: all that a client has
)

// Client is what is known of a client that pushes metrics.
type Client struct {
	ID              string // its client id
	SoftwareName    string
	SoftwareVersion string
	Host, Port      string
}

// selectors are what match may name.
var selectors = map[string]func(instance string, c *Client) string{
	"client_instance_id":      func(instance string, _ *Client) string { return instance },
	"client_id":               func(_ string, c *Client) string { return c.ID },
	"client_software_name":    func(_ string, c *Client) string { return c.SoftwareName },
	"client_software_version": func(_ string, c *Client) string { return c.SoftwareVersion },
	"client_source_address":   func(_ string, c *Client) string { return c.Host },
	"client_source_port":      func(_ string, c *Client) string { return c.Port },
}

// Subscription is what is asked of some clients.
type Subscription struct {
	metrics  []string
	interval time.Duration
	match    map[string]*regexp.Regexp // by selector
}

// Parse reads a subscription's settings. The error says what Kafka says.
func Parse(settings map[string]string) (*Subscription, error) {
	s := &Subscription{interval: DefaultInterval, match: map[string]*regexp.Regexp{}}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := settings[name]
		switch name {
		case SettingMetrics:
			s.metrics = split(value)
		case SettingInterval:
			ms, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
			if err != nil || ms < leastInterval || ms > mostInterval {
				return nil, refuse(ErrInvalid, "Invalid value %s for %s, interval must be between %d and %d (1 hour)", value, SettingInterval, leastInterval, mostInterval)
			}
			s.interval = time.Duration(ms) * time.Millisecond
		case SettingMatch:
			for _, one := range split(value) {
				selector, pattern, ok := strings.Cut(one, "=")
				selector = strings.TrimSpace(selector)
				re, err := regexp.Compile("^(?:" + strings.TrimSpace(pattern) + ")$")
				if !ok || err != nil || selectors[selector] == nil {
					return nil, refuse(ErrInvalid, "Illegal client matching pattern: %s", one)
				}
				s.match[selector] = re
			}
		default:
			return nil, refuse(ErrInvalid, "Unknown client metrics configuration: %s", name)
		}
	}
	return s, nil
}

func split(list string) (out []string) {
	for _, e := range strings.Split(list, ",") {
		if e = strings.TrimSpace(e); e != "" {
			out = append(out, e)
		}
	}
	return out
}

// matches reports whether a subscription is for a client.
func (s *Subscription) matches(instance string, c *Client) bool {
	for selector, re := range s.match {
		if !re.MatchString(selectors[selector](instance, c)) {
			return false
		}
	}
	return true
}
