package object

import (
	"errors"
	"fmt"

	"varve/internal/id"
)

// ErrGone: an object that the head refers to is not in the bucket. Either the head is out of
// date by now and retention removed it, or it was lost.
var ErrGone = errors.New("object of the tier is gone")

// ErrHole: records that were acknowledged can't be read, as the object that holds them is
// gone or not what was written. It comes within a *HoleError.
var ErrHole = errors.New("records of the tier can't be read")

// HoleError reports which records of a partition can't be read, and why.
type HoleError struct {
	Partition id.Partition
	From, To  int64  // offsets; To is the one after the last
	Key       string // of the object
	Err       error  // ErrGone, or a *CorruptError
}

func (e *HoleError) Error() string {
	return fmt.Sprintf("offsets %d to %d of %v lie in object %s: %v", e.From, e.To, e.Partition, e.Key, e.Err)
}
func (e *HoleError) Unwrap() error        { return e.Err }
func (e *HoleError) Is(target error) bool { return target == ErrHole }

// Same reports whether two are about the same records.
func (e *HoleError) Same(o *HoleError) bool {
	return e != nil && o != nil && e.Partition == o.Partition && e.From == o.From && e.To == o.To && e.Key == o.Key
}

// Unreadable reports whether the object itself is at fault, and not that the bucket
// doesn't answer, or that another release wrote it.
func Unreadable(err error) bool {
	var corrupt *CorruptError
	return errors.Is(err, ErrGone) || errors.As(err, &corrupt) && !errors.Is(err, ErrVersion)
}

// WrapHole wraps an error of an object that can't be read.
func WrapHole(p id.Partition, from, to int64, key string, err error) error {
	var known *HoleError
	if !Unreadable(err) || errors.As(err, &known) {
		return err
	}
	return &HoleError{p, from, to, key, err}
}
