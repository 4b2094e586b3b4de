package object

import (
	"errors"

	"varve/internal/id"
	"varve/kafka"
)

// Stamp is a record's place in time.
type Stamp struct {
	Offset int64
	Time   int64 // ms
	Epoch  id.Epoch
}

// StampOf returns the stamp of a batch's record.
func StampOf(b kafka.Batch, r *kafka.Record) Stamp {
	return Stamp{Offset: r.Offset, Time: r.Timestamp, Epoch: id.Epoch(b.LeaderEpoch())}
}

var errFound = errors.New("found")

// FirstSince returns a batch's first record from offset start on with a timestamp of at least
// at, if there is one. limit bounds what the batch may decompress to. A batch that misleads
// has none: clients see what is wrong with it when they read it.
func FirstSince(b kafka.Batch, limit int, start, at int64) (found Stamp, ok bool, err error) {
	err = b.Records(limit, func(r *kafka.Record) error {
		if r.Offset >= start && r.Timestamp >= at {
			found = StampOf(b, r)
			return errFound
		}
		return nil
	})
	switch {
	case err == errFound:
		return found, true, nil
	case kafka.Misleads(err):
		return Stamp{}, false, nil
	}
	return Stamp{}, false, err
}
