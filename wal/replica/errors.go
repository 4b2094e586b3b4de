package replica

import (
	"encoding/binary"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/internal/wire"
	"varve/wal"
)

// Errors that callers act on, beside wal's.
var (
	// ErrUnreachable: there is no address for the store, or nothing answers there.
	ErrUnreachable = errors.New("store is not reachable")
	// ErrOtherStore: another store answers at that address, or the process of another
	// cluster.
	ErrOtherStore = errors.New("another store answers there")
	// ErrClosed: the node was closed.
	ErrClosed = errors.New("replication is closed")
)

// RemoteError is what a peer answered; it unwraps to the error that it had.
type RemoteError struct {
	Store id.Store
	Text  string
	Err   error // nil: none that is known here
}

func (e *RemoteError) Error() string { return fmt.Sprintf("store %v: %s", e.Store, e.Text) }
func (e *RemoteError) Unwrap() error { return e.Err }

// codes are the errors that cross the wire, by number.
var codes = []error{
	1: errors.New("failed"),
	2: wal.ErrUnknown,
	3: wal.ErrFenced,
	4: wal.ErrClosed,
	5: wal.ErrFull,
	6: wal.ErrGone,
	7: ErrOtherStore,
	8: errFrame,
}

const maxErrorText = 4 << 10

// appendError writes an error, nil as code 0.
func appendError(b []byte, err error) []byte {
	if err == nil {
		return wire.AppendString(append(b, 0), "")
	}
	code := byte(1)
	for n, known := range codes {
		if n > 1 && errors.Is(err, known) {
			code = byte(n)
			break
		}
	}
	text := err.Error()
	return wire.AppendString(append(b, code), text[:min(len(text), maxErrorText)])
}

// readError reads what appendError wrote.
func readError(r *wire.Reader, from id.Store) error {
	code, text := r.U8(), r.String()
	if r.Err() != nil {
		return fmt.Errorf("%w: %w", errFrame, r.Err())
	}
	if code == 0 {
		return nil
	}
	e := &RemoteError{Store: from, Text: text}
	if int(code) < len(codes) && code > 1 {
		e.Err = codes[code]
	}
	return e
}

func appendJournal(b []byte, j id.Journal) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(j.Writer))
	return binary.LittleEndian.AppendUint32(b, j.Seq)
}

func readJournal(r *wire.Reader) id.Journal {
	return id.Journal{Writer: id.Incarnation(r.U64()), Seq: r.U32()}
}

func readStore(r *wire.Reader) (s id.Store) {
	copy(s[:], r.Fixed(len(s)))
	return s
}
