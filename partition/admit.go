package partition

import (
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

// admit checks a batch against the topic's settings and converts it if the
// topic wants another compression or its own timestamps. Records are parsed only
// where that can't be avoided.
func admit(b kafka.Batch, s *Settings, now int64) (kafka.Batch, error) {
	if int64(len(b)) > s.MaxMessageBytes {
		return nil, fmt.Errorf("%d bytes, max.message.bytes is %d: %w", len(b), s.MaxMessageBytes, kafka.ErrTooLarge)
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	if b.IsControl() {
		return nil, fmt.Errorf("a control batch from a client: %w", kafka.ErrInvalidRecord)
	}
	if b.IsTransactional() {
		return nil, ErrTransactional
	}
	if s.Compact {
		if err := wantKeys(b, s); err != nil {
			return nil, err
		}
	}
	if err := checkTimes(b, s, now); err != nil {
		return nil, err
	}
	if !s.KeepCompression && b.Codec() != s.Compression {
		var err error
		if b, err = b.Recompress(s.Compression, batchLimit(s)); err != nil {
			return nil, err
		}
		if int64(len(b)) > s.MaxMessageBytes {
			return nil, fmt.Errorf("%d bytes as %v, max.message.bytes is %d: %w", len(b), s.Compression, s.MaxMessageBytes, kafka.ErrTooLarge)
		}
	}
	if s.LogAppendTime {
		b.SetLogAppendTime(now)
	}
	return b, nil
}

// wantKeys refuses records without keys, which compaction can't keep.
func wantKeys(b kafka.Batch, s *Settings) error {
	return eachBad(b, s, kafka.ErrInvalidRecord, "Compacted topic cannot accept message without key.", func(r *kafka.Record) bool { return r.Key == nil })
}

// checkTimes applies message.timestamp.before.max.ms and after.max.ms. The
// header's timestamps decide whether the records must be looked at.
func checkTimes(b kafka.Batch, s *Settings, now int64) error {
	if s.LogAppendTime {
		return nil
	}
	if b.IsLogAppendTime() {
		return fmt.Errorf("a client sets the timestamp type LogAppendTime: %w", ErrTimestamp)
	}
	if b.MaxTimestamp() < b.BaseTimestamp() { // some clients don't fill it in
		if err := correctMaxTime(b, s); err != nil {
			return err
		}
	}
	bad := func(at int64) bool {
		return at >= 0 && (now-at > s.TimestampBefore || at-now > s.TimestampAfter)
	}
	if !bad(b.BaseTimestamp()) && !bad(b.MaxTimestamp()) {
		return nil
	}
	err := eachBad(b, s, ErrTimestamp, "Timestamp is out of range.", func(r *kafka.Record) bool { return bad(r.Timestamp) })
	if err == nil {
		err = fmt.Errorf("timestamps of the batch's header: %w", ErrTimestamp)
	}
	return err
}

// correctMaxTime makes the header's largest timestamp that of the records: look-ups
// and retention go by it.
func correctMaxTime(b kafka.Batch, s *Settings) error {
	newest := int64(-1)
	err := b.Records(batchLimit(s), func(r *kafka.Record) error {
		newest = max(newest, r.Timestamp)
		return nil
	})
	if err == nil {
		b.SetMaxTimestamp(newest)
	}
	return err
}

// eachBad names the records that bad says are bad.
func eachBad(b kafka.Batch, s *Settings, cause error, message string, bad func(*kafka.Record) bool) error {
	var named []RecordError
	n := 0
	err := b.Records(batchLimit(s), func(r *kafka.Record) error {
		if bad(r) {
			if n++; len(named) < maxRecordErrors {
				named = append(named, RecordError{int32(r.Index), message})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	return &RecordErrors{fmt.Errorf("%d of %d records: %w", n, b.Count(), cause), named}
}
