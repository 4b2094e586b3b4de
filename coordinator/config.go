package coordinator

import "time"

// Config are a coordinator's settings.
type Config struct {
	// ReadTimeout bounds the reading of one machine.
	ReadTimeout time.Duration
	// RereadAfter is when a machine whose values can't be decoded is read again.
	RereadAfter time.Duration
	// UnloadAfter is how long an idle machine stays in memory unused.
	UnloadAfter time.Duration
	// StoreBytesPerSecond bounds what is written to the metadata store, which keeps it as
	// history for a while.
	StoreBytesPerSecond int64
}
