package schema

import (
	"fmt"

	"varve/internal/wire"
)

// A value is one byte of version, from 1, then its fields in the order of the
// struct, in package wire's primitives. A decoder knows every version that was
// ever released and refuses newer ones.

// ValueError is a value that could not be decoded.
type ValueError struct {
	Kind string
	Err  error
}

func (e *ValueError) Error() string { return fmt.Sprintf("decode %s: %v", e.Kind, e.Err) }
func (e *ValueError) Unwrap() error { return e.Err }

// decode checks the version byte, lets body read the fields and checks that
// nothing is left over.
func decode(kind string, newest uint8, b []byte, body func(*wire.Reader)) error {
	r := wire.NewReader(b)
	if v := r.U8(); r.Err() == nil && (v == 0 || v > newest) {
		return &ValueError{kind, fmt.Errorf("version %d is not one of 1 to %d", v, newest)}
	}
	if r.Err() == nil {
		body(r)
	}
	if err := r.Done(); err != nil {
		return &ValueError{kind, err}
	}
	return nil
}
