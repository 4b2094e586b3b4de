package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Errors that callers act on. Everything else is transient: the call may be
// repeated, except where the operation's comment says otherwise.
var (
	// ErrNotFound: the object is not there. Head can't tell a missing bucket
	// from a missing object, as S3 answers it without a body.
	ErrNotFound = errors.New("object not found")
	// ErrExists: PutIfAbsent found an object under the key.
	ErrExists = errors.New("object already exists")
	// ErrRange: the range asked for begins at or beyond the object's end.
	ErrRange = errors.New("range is not satisfiable")
	// ErrDenied: credentials or policy refuse the call; repeating won't help.
	ErrDenied = errors.New("access denied")
	// ErrNoBucket: the bucket isn't there; repeating won't help before someone
	// creates it.
	ErrNoBucket = errors.New("bucket not found")
	// ErrInvalid: the call itself is wrong (key, range); repeating won't help.
	ErrInvalid = errors.New("invalid call")
	// ErrUnsupported: the store doesn't know how to do this.
	ErrUnsupported = errors.New("not supported by the store")

	// ErrSkewed: our clock and the store's are too far apart. It is transient: once the
	// store has told its time, requests are signed by that.
	ErrSkewed = errors.New("the clocks of this machine and of the store are too far apart: set them right (NTP)")
	// ErrTimeout: WithDeadline gave up waiting. It is transient.
	ErrTimeout = errors.New("no answer from the store in time")
)

// permanent are the errors that no repetition mends.
var permanent = []error{ErrNotFound, ErrExists, ErrRange, ErrDenied, ErrNoBucket, ErrInvalid, ErrUnsupported}

// Transient reports whether the same call may succeed later.
func Transient(err error) bool {
	if err == nil {
		return false
	}
	for _, p := range permanent {
		if errors.Is(err, p) {
			return false
		}
	}
	return true
}

// kindOf names an error for metrics and logs; the names are few and fixed.
func kindOf(err error) string {
	switch {
	case errors.Is(err, ErrNotFound):
		return "not_found"
	case errors.Is(err, ErrExists):
		return "exists"
	case errors.Is(err, ErrRange):
		return "range"
	case errors.Is(err, ErrDenied):
		return "denied"
	case errors.Is(err, ErrNoBucket):
		return "no_bucket"
	case errors.Is(err, ErrInvalid):
		return "invalid"
	case errors.Is(err, ErrUnsupported):
		return "unsupported"
	case errors.Is(err, ErrSkewed):
		return "clock_skew"
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "transient"
}

// sentinel maps what an S3 server answered to a sentinel, nil if it is
// transient. The error code is more telling than the status, where there is one.
func sentinel(status int, code string) error {
	switch code {
	case "NoSuchBucket":
		return ErrNoBucket
	case "NoSuchKey":
		return ErrNotFound
	case "PreconditionFailed":
		return ErrExists
	case "InvalidRange":
		return ErrRange
	case "RequestTimeTooSkewed":
		return ErrSkewed
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return ErrDenied
	case "NotImplemented", "MethodNotAllowed":
		return ErrUnsupported
	case "InvalidArgument", "KeyTooLongError", "EntityTooLarge", "XMinioInvalidObjectName":
		return ErrInvalid
	case "NoSuchUpload", "ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "ExpiredToken":
		return nil
	}
	switch status {
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusPreconditionFailed:
		return ErrExists
	case http.StatusRequestedRangeNotSatisfiable:
		return ErrRange
	case http.StatusForbidden, http.StatusUnauthorized:
		return ErrDenied
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return ErrUnsupported
	}
	return nil
}

// callError is an error with the call that met it.
type callError struct {
	op  Op
	key string
	err error
}

func (e *callError) Error() string { return fmt.Sprintf("%s %q: %v", e.op, shorten(e.key), e.err) }
func (e *callError) Unwrap() error { return e.err }

// wrap adds which call failed. A sentinel joins the store's own error.
func wrap(op Op, key string, sentinel, err error) error {
	if sentinel != nil {
		err = fmt.Errorf("%w (%w)", sentinel, err)
	}
	return &callError{op, key, err}
}
