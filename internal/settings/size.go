package settings

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// isSize reports whether a setting is a number of bytes, which may have a unit.
func isSize(name string) bool { return name == "bytes" || strings.HasSuffix(name, "_bytes") }

var (
	sizeForm  = regexp.MustCompile(`^(-?\d+(?:\.\d+)?)\s*([a-zA-Z]+)$`)
	sizeUnits = map[string]float64{"b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12, "p": 1e15, "pb": 1e15,
		"ki": 1 << 10, "kib": 1 << 10, "mi": 1 << 20, "mib": 1 << 20, "gi": 1 << 30, "gib": 1 << 30, "ti": 1 << 40, "tib": 1 << 40, "pi": 1 << 50, "pib": 1 << 50}
)

// withoutUnit makes 64MiB and 100GB a number of bytes; other texts are left alone.
func withoutUnit(text string) (string, error) {
	m := sizeForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return text, nil
	}
	unit, ok := sizeUnits[strings.ToLower(m[2])]
	n, err := strconv.ParseFloat(m[1], 64)
	if !ok || err != nil {
		return text, fmt.Errorf("%q: want a number of bytes, or one with a unit such as 64MiB or 100GB", text)
	}
	if math.Abs(n*unit) >= 1<<63 {
		return text, fmt.Errorf("%q is too large", text)
	}
	if n == math.Trunc(n) {
		return strconv.FormatInt(int64(n)*int64(unit), 10), nil
	}
	return strconv.FormatInt(int64(math.Round(n*unit)), 10), nil
}

// ParseSize reads a number of bytes, which may have a unit.
func ParseSize(text string) (int64, error) {
	plain, err := withoutUnit(text)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(plain), 10, 64)
}
