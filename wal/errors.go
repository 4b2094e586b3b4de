package wal

import (
	"errors"
	"fmt"
)

// Errors that callers act on.
var (
	// ErrClosed: the journal takes no more appends: it was sealed, fenced or closed.
	ErrClosed = errors.New("journal is closed")
	// ErrFull: untrimmed entries fill the disk budget; later appends may succeed.
	ErrFull = errors.New("journal has reached its disk budget")
	// ErrTooLarge: the append is larger than an entry may be.
	ErrTooLarge = errors.New("append is larger than an entry may be")
	// ErrGone: the place was trimmed, or never was.
	ErrGone = errors.New("journal position is gone")
	// ErrUnknown: this store has never joined the journal, or has forgotten it. It doesn't
	// mean that the journal has no entries.
	ErrUnknown = errors.New("journal is not known to this store")
	// ErrFenced: a higher epoch has fenced the journal.
	ErrFenced = errors.New("journal is fenced by a later epoch")

	// errNoEntry: there is no intact entry here.
	errNoEntry = errors.New("no intact entry")
)

// CorruptError is the place where a journal is damaged beyond what a crash can do.
type CorruptError struct {
	Path   string
	Offset int64
	Err    error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal file %s is damaged at byte %d: %v", e.Path, e.Offset, e.Err)
}
func (e *CorruptError) Unwrap() error { return e.Err }
