package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"varve/internal/id"
	"varve/internal/oddbatch"
	"varve/kafka"
	"varve/tiering/object"
)

// TestOddBatches: of some hundred batches, most of them wrong in one way, the same are
// refused as Apache Kafka refuses, the others are stored with the same header and records,
// and found at the same times. TestOddBatchesAgainstKafka in e2e does this with a real Kafka.
func TestOddBatches(t *testing.T) {
	theirs, err := oddbatch.Kafka()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	made := b.now
	b.now += 20 // when they are appended
	for _, c := range oddbatch.All(made) {
		want, ok := theirs[c.Name]
		if !ok {
			t.Errorf("%q: Kafka's answer is not recorded", c.Name)
			continue
		}
		if c.Version < 7 {
			continue // the broker refuses zstd
		}
		want.Kept = false
		if got := b.outcome(c, made); !oddbatch.Same(c, want, got) {
			t.Errorf("%q %v:\n  Kafka %+v\n  Varve %+v", c.Name, c.Settings, want, got)
		}
	}
}

// outcome appends a case, made at a time, to a partition of its own and reads back what became of it.
func (b *bench) outcome(c oddbatch.Case, made int64) (o oddbatch.Outcome) {
	b.t.Helper()
	p := b.take(settingsOf(b.t, c.Settings))
	defer p.Close()
	before := p.State().High
	batch, err := kafka.One(bytes.Clone(c.Records))
	if err == nil {
		err = appendBatch(p, batch).err
	}
	if err != nil {
		o.Error = codeName(err)
		var each *RecordErrors
		if errors.As(err, &each) {
			for _, r := range each.Records {
				o.Records = append(o.Records, r.Index)
			}
		}
		return o
	}
	d, _, _, err := p.ReadNear(Reading{Offset: before, Limit: 1 << 20, Always: true, Epoch: id.NoEpoch})
	if err != nil {
		b.t.Fatalf("%q: %v", c.Name, err)
	}
	defer d.Release()
	stored := kafka.Batch(bytes.Join(d.Pieces, nil))
	o.Stored, o.Body, o.Offsets = oddbatch.Header(stored, made), oddbatch.Body(stored), map[string]string{}
	show := func(at string, found object.Stamp, ok bool, err error) {
		switch {
		case err != nil:
			o.Offsets[at] = err.Error()
		case !ok:
			o.Offsets[at] = "-1"
		case stored.IsLogAppendTime():
			o.Offsets[at] = fmt.Sprint(found.Offset - before)
		default:
			o.Offsets[at] = fmt.Sprint(found.Offset-before, " at ", oddbatch.Time(found.Time, made))
		}
	}
	search := p.searchFrom(before)
	for _, at := range oddbatch.Sought {
		if oddbatch.Seekable(at, stored.IsLogAppendTime()) {
			found, ok, err := search.first(context.Background(), made+at)
			show(oddbatch.At(at), found, ok, err)
		}
	}
	l, _ := search.batch(before, func(*ref) bool { return true })
	newest, err := search.newestIn(l)
	show("newest", newest, newest.Time >= 0, err)
	return o
}

// settingsOf makes settings of a topic's, as far as cases set them.
func settingsOf(t testing.TB, given map[string]string) *Settings {
	s := settings()
	for name, value := range given {
		number, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "message.timestamp.type":
			s.LogAppendTime = value == "LogAppendTime"
		case "message.timestamp.before.max.ms":
			s.TimestampBefore = number
		case "message.timestamp.after.max.ms":
			s.TimestampAfter = number
		case "max.message.bytes":
			s.MaxMessageBytes = number
		case "cleanup.policy":
			s.Compact = value == "compact"
		case "compression.type":
			codec, err := kafka.ParseCodec(value)
			if err != nil {
				t.Fatal(err)
			}
			s.KeepCompression, s.Compression = false, codec
		default:
			t.Fatalf("setting %s", name)
		}
	}
	return s
}

// codeName names the code that the broker gives an error.
func codeName(err error) string {
	for sentinel, name := range map[error]string{kafka.ErrInvalidRecord: "INVALID_RECORD", kafka.ErrCorrupt: "CORRUPT_MESSAGE", kafka.ErrTooLarge: "MESSAGE_TOO_LARGE",
		kafka.ErrCodec: "UNSUPPORTED_COMPRESSION_TYPE", ErrTimestamp: "INVALID_TIMESTAMP"} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	return err.Error()
}
