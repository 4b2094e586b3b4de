package cluster

import "fmt"

// Refusal is an error whose text is for the client alone. Its reason, one of this
// package's errors or Kafka's, is found by errors.Is and errors.As, and has a code and a
// field of its own in the answer; the text doesn't repeat it.
type Refusal struct {
	Reason error
	Text   string
}

// Refuse makes a Refusal.
func Refuse(reason error, format string, args ...any) error {
	return &Refusal{reason, fmt.Sprintf(format, args...)}
}

func (r *Refusal) Error() string { return r.Text }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }
