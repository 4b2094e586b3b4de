package logs

import (
	"fmt"
	"log/slog"
)

// ParseLevel reads a level as the setting log.level has it.
func ParseLevel(text string) (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf("%q is no log level: must be debug, info, warn or error", text)
	}
	return l, nil
}
