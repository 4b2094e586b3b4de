package kafka

import (
	"fmt"
	"math"
)

// Survey is what a batch's records are, by themselves. Whatever depends on their
// timestamps or offsets goes by it, and not by what the producer wrote into the header.
type Survey struct {
	FirstTime int64 // timestamp of the first record, in ms
	MinTime   int64 // smallest timestamp but NoTimestamp; MaxInt64 if there is none
	MaxTime   int64 // largest timestamp; NoTimestamp if none is larger, as Kafka has it
	Ordered   bool  // the records' offset deltas are 0, 1, 2 and so on
	NullKeys  bool  // a record has no key
}

// NoTimestamp is the timestamp of a record without one.
const NoTimestamp = -1

// Survey reads all records once. It checks their framing, as Kafka's broker does when a
// producer sends them (KIP-98). A record that can't be read is a BadRecord.
func (d Body) Survey() (Survey, error) {
	s := Survey{MinTime: math.MaxInt64, MaxTime: NoTimestamp, Ordered: true}
	b, base, at := d.bytes, d.batch.BaseTimestamp(), 0
	for i := range d.batch.Count() {
		size, from := varint32(b, at)
		if size < 0 || int(size) > len(b)-from {
			return s, d.fault()
		}
		at = from + int(size)
		delta, offset, keyed, ok := frameOf(b[from:at])
		if !ok {
			return s, d.fault()
		}
		if offset != i {
			s.Ordered = false
		}
		if !keyed {
			s.NullKeys = true
		}
		ms := base + delta
		if i == 0 {
			s.FirstTime = ms
		}
		if ms < s.MinTime && ms != NoTimestamp {
			s.MinTime = ms
		}
		s.MaxTime = max(s.MaxTime, ms)
	}
	if at != len(b) {
		return s, d.fault()
	}
	return s, nil
}

// fault names what is wrong with the first record that can't be read.
func (d Body) fault() error {
	if err := d.Each(func(*Record) error { return nil }); err != nil {
		return err
	}
	return fmt.Errorf("the records can't be read: %w", ErrInvalidRecord)
}

// frameOf reads the fields of a record that matter, and steps over the others. ok reports
// whether they fill r exactly. It is Record.parse without what a broker has no use for.
func frameOf(r []byte) (timeDelta int64, offsetDelta int32, keyed, ok bool) {
	if len(r) < MinRecordBytes-1 {
		return 0, 0, false, false
	}
	timeDelta, at := varint64(r, 1)
	offsetDelta, at = varint32(r, at)
	key, at := varint32(r, at)
	at += int(max(key, 0))
	value, at := varint32(r, at)
	at += int(max(value, 0))
	headers, at := varint32(r, at)
	if headers < 0 || int(headers) > len(r)-at {
		return 0, 0, false, false
	}
	for range headers {
		var n int32
		if n, at = varint32(r, at); n < 0 {
			return 0, 0, false, false
		}
		at += int(n)
		n, at = varint32(r, at)
		at += int(max(n, 0))
	}
	return timeDelta, offsetDelta, key >= 0, at == len(r)
}
