package main

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// layouts are the ways to write a time, local without a zone.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04Z07:00",
	"2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04 Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04 -0700", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05 MST", "2006-01-02 15:04 MST",
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

// timeOf reads a time, in ms since 1970; now is what a time ago is reckoned from.
func timeOf(text string, now time.Time) (ms int64, ok bool) {
	for _, kcat := range []string{"s@", "e@", "@"} {
		if rest, ok := strings.CutPrefix(text, kcat); ok {
			text = strings.TrimSpace(rest)
			if n, ok := unixTime(text); ok {
				return n, true
			}
			break
		}
	}
	switch strings.ToLower(text) {
	case "now":
		return now.UnixMilli(), true
	case "today", "yesterday":
		y, m, d := now.Date()
		if text[0]|0x20 == 'y' {
			d--
		}
		return time.Date(y, m, d, 0, 0, 0, 0, now.Location()).UnixMilli(), true
	}
	ago, isAgo := strings.CutSuffix(strings.ToLower(text), "ago")
	if !isAgo {
		ago, isAgo = strings.CutPrefix(ago, "-")
	}
	if d, ok := longDuration(ago); ok && isAgo {
		return now.Add(-d).UnixMilli(), true
	}
	for _, layout := range layouts {
		if strings.HasSuffix(layout, "MST") && !strings.HasSuffix(text, "UTC") && !strings.HasSuffix(text, "GMT") {
			continue // the offsets of other abbreviations aren't known
		}
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

// unixTime reads ms since 1970; with as many digits as today's seconds or ns have it is
// these.
func unixTime(digits string) (ms int64, ok bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || digits[0] == '+' {
		return 0, false
	}
	switch len(digits) {
	case 10:
		return n * 1000, true
	case 16:
		return n / 1000, true
	case 19:
		return n / 1_000_000, true
	}
	return n, true
}

var (
	durationPart = regexp.MustCompile(`^\s*(?:and\s+)?(\d+(?:\.\d+)?)\s*([a-zµ]+)\s*,?`)
	units        = map[string]time.Duration{}
)

func init() {
	for d, names := range map[time.Duration]string{
		time.Millisecond: "ms msec msecs millisecond milliseconds", time.Second: "s sec secs second seconds", time.Minute: "m min mins minute minutes",
		time.Hour: "h hr hrs hour hours", 24 * time.Hour: "d day days", 7 * 24 * time.Hour: "w wk week weeks", time.Microsecond: "us µs", time.Nanosecond: "ns",
	} {
		for _, n := range strings.Fields(names) {
			units[n] = d
		}
	}
}

// longDuration reads 1h30m, 1d, 5 minutes, 2 hours and 5 min.
func longDuration(text string) (sum time.Duration, ok bool) {
	for rest := strings.TrimSpace(text); ; {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return sum, ok && rest == ""
		}
		n, err := strconv.ParseFloat(m[1], 64)
		unit := units[m[2]]
		more := n * float64(unit)
		if err != nil || unit == 0 || float64(sum)+more > math.MaxInt64/2 {
			return 0, false
		}
		sum, ok, rest = sum+time.Duration(more), true, strings.TrimSpace(rest[len(m[0]):])
	}
}
