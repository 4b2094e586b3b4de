// Package say writes numbers as people read them, in the output of commands, logs and health.
package say

import "fmt"

// Count writes n and the noun for it: one if n is 1, else its plural, which is one and an s
// if it isn't given.
func Count[N ~int | ~int32 | ~int64](n N, one string, plural ...string) string {
	switch {
	case n == 1:
	case len(plural) > 0:
		one = plural[0]
	default:
		one += "s"
	}
	return fmt.Sprintf("%d %s", n, one)
}

// Bytes writes a size in the unit that suits it, in powers of 1000.
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for f >= 999.95 && unit < 5 {
		f /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", f, " kMGTP"[unit])
}
