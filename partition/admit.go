package partition

import (
	"errors"
	"fmt"

	"varve/kafka"
)

// RecordError is one record's reason for the refusal of its batch (KIP-467).
type RecordError struct {
	Index   int32
	Message string
}

// RecordErrors refuses a batch for some of its records.
type RecordErrors struct {
	Err     error // the batch's error
	Records []RecordError
}

func (e *RecordErrors) Error() string { return e.Err.Error() }
func (e *RecordErrors) Unwrap() error { return e.Err }

// maxRecordErrors is how many records of a batch are named at most.
const maxRecordErrors = 100

// admitted is a batch that may be stored.
type admitted struct {
	kafka.Batch
	// exact reports whether the largest timestamp in the header is that of the records.
	exact bool
}

// admit checks a batch as Kafka's broker does (LogValidator), and makes it what the
// topic's settings demand: its codec, its timestamps. Records are read once. now is the
// time of the append in ms. trust leaves the records unread where nothing demands it, as
// produce.validation=headers allows. work bounds what the batch may be decompressed to.
func admit(b kafka.Batch, s *Settings, now int64, trust bool, work *kafka.Work) (admitted, error) {
	if err := admitHeader(b, s); err != nil {
		return admitted{}, err
	}
	if trust && !needsRecords(b, s, now) {
		if s.LogAppendTime {
			b.SetMaxTimestamp(now, true)
		}
		return admitted{b, s.LogAppendTime}, nil
	}
	b, err := admitRecords(b, s, now, work)
	if err != nil {
		return admitted{}, err
	}
	if int64(len(b)) > s.MaxMessageBytes {
		return admitted{}, fmt.Errorf("%d bytes as %v, max.message.bytes is %d: %w", len(b), b.Codec(), s.MaxMessageBytes, kafka.ErrTooLarge)
	}
	return admitted{b, true}, nil
}

// admitHeader checks what the header alone decides, in the order of Kafka's broker.
func admitHeader(b kafka.Batch, s *Settings) error {
	if b.BaseOffset() != 0 {
		return fmt.Errorf("base offset %d, a producer's must be 0: %w", b.BaseOffset(), kafka.ErrInvalidRecord)
	}
	if int64(len(b)) > s.MaxMessageBytes {
		return fmt.Errorf("%d bytes, max.message.bytes is %d: %w", len(b), s.MaxMessageBytes, kafka.ErrTooLarge)
	}
	if err := b.Validate(); err != nil {
		return err
	}
	if most := batchLimit(s) / kafka.MinRecordBytes; int(b.Count()) > most {
		return fmt.Errorf("%d records, at most %d fit a batch: %w", b.Count(), most, kafka.ErrInvalidRecord)
	}
	if b.IsControl() {
		return fmt.Errorf("a control batch from a client: %w", kafka.ErrInvalidRecord)
	}
	if b.IsTransactional() {
		return ErrTransactional
	}
	return nil
}

// needsRecords reports whether the topic's settings can't be applied to the batch without
// reading its records, if its header is believed.
func needsRecords(b kafka.Batch, s *Settings, now int64) bool {
	switch {
	case s.Compact, b.Codec() != s.codec(b), b.IsLogAppendTime():
		return true
	case s.LogAppendTime:
		return false
	}
	return b.MaxTimestamp() < b.BaseTimestamp() || s.badTime(b.BaseTimestamp(), now) || s.badTime(b.MaxTimestamp(), now)
}

// admitRecords reads the records, in one pass, and makes the batch that is stored.
func admitRecords(b kafka.Batch, s *Settings, now int64, work *kafka.Work) (kafka.Batch, error) {
	faults := recordFaults{s: s, now: now, lateType: b.IsLogAppendTime()}
	if faults.lateType { // so that records show their own timestamps, as they will be read
		b.SetMaxTimestamp(b.MaxTimestamp(), false)
	}
	out := b
	err := work.Open(b, batchLimit(s), func(body kafka.Body) error {
		found, err := body.Survey()
		if err == nil && faults.suspects(found) {
			err = faults.name(body)
		}
		if err != nil {
			return err
		}
		codec := s.codec(b)
		switch {
		case codec != b.Codec() || !found.Ordered && codec == kafka.None:
			if out, err = body.Rewrite(codec, found); err != nil {
				return err
			}
		case !found.Ordered: // Kafka doesn't store it either
			return fmt.Errorf("the offset deltas of the records are not 0, 1, 2 and so on: %w", kafka.ErrInvalidRecord)
		}
		if s.LogAppendTime {
			found.MaxTime = now
		}
		out.SetMaxTimestamp(found.MaxTime, s.LogAppendTime)
		return nil
	})
	return out, refusal(err)
}

// refusal makes a body that can't be read INVALID_RECORD: a client that gets
// CORRUPT_MESSAGE sends the batch again, and it is intact by its checksum.
func refusal(err error) error {
	var bad *kafka.BadRecord
	switch {
	case errors.As(err, &bad):
		return &RecordErrors{err, []RecordError{{int32(bad.Index), bad.Err.Error()}}}
	case errors.Is(err, kafka.ErrCorrupt):
		return fmt.Errorf("%v: %w", err, kafka.ErrInvalidRecord)
	}
	return err
}

// codec returns the codec in which a batch is stored.
func (s *Settings) codec(b kafka.Batch) kafka.Codec {
	if s.KeepCompression {
		return b.Codec()
	}
	return s.Compression
}

// badTime reports whether a timestamp is beyond message.timestamp.before.max.ms or
// after.max.ms.
func (s *Settings) badTime(at, now int64) bool {
	return at != kafka.NoTimestamp && (now-at > s.TimestampBefore || at-now > s.TimestampAfter)
}

// recordFaults finds what is wrong with single records.
type recordFaults struct {
	s        *Settings
	now      int64
	lateType bool // the producer set the timestamp type LogAppendTime

	named []RecordError
	n     int
	cause error
}

// suspects reports whether the topic's settings may forbid one of the surveyed records.
func (f *recordFaults) suspects(found kafka.Survey) bool {
	if f.s.Compact && found.NullKeys {
		return true
	}
	if f.s.LogAppendTime {
		return f.lateType
	}
	return found.MinTime <= found.MaxTime && (f.s.badTime(found.MinTime, f.now) || f.s.badTime(found.MaxTime, f.now))
}

// name reads the records again and names those that the settings forbid.
func (f *recordFaults) name(body kafka.Body) error {
	if err := body.Each(f.check); err != nil || f.n == 0 {
		return err
	}
	return &RecordErrors{fmt.Errorf("%d records, the first: %s: %w", f.n, f.named[0].Message, f.cause), f.named}
}

func (f *recordFaults) check(r *kafka.Record) error {
	switch {
	case f.s.Compact && r.Key == nil: // compaction can't keep it
		f.add(r, kafka.ErrInvalidRecord, "Compacted topic cannot accept message without key.")
	case f.s.LogAppendTime && f.lateType:
		f.add(r, ErrTimestamp, "Invalid timestamp type: producer should not set timestamp type to LogAppendTime.")
	case !f.s.LogAppendTime && f.s.badTime(r.Timestamp, f.now):
		f.add(r, ErrTimestamp, fmt.Sprintf("Timestamp %d is out of range. The timestamp should be within [%d, %d].",
			r.Timestamp, f.now-f.s.TimestampBefore, f.now+f.s.TimestampAfter))
	}
	return nil
}

func (f *recordFaults) add(r *kafka.Record, cause error, message string) {
	if f.n++; len(f.named) < maxRecordErrors {
		f.named = append(f.named, RecordError{int32(r.Index), message})
	}
	if f.cause == nil || errors.Is(cause, ErrTimestamp) { // which counts more for Kafka
		f.cause = cause
	}
}
