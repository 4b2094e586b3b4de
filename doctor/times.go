package doctor

import (
	"slices"
	"time"
)

// times are durations of the same thing.
type times []time.Duration

// percentile returns what a percentage of the durations don't exceed; 0 if there are none.
func (t times) percentile(percent int) time.Duration {
	if len(t) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

// short rounds a duration to what is worth reading.
func short(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
