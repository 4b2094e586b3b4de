package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// positionHelp explains positions.
const positionHelp = "beginning, end, an offset, -N for the last N records of each partition, a time (2026-01-31T12:00:00Z), @MILLISECONDS, or a time ago (1h30m ago)"

// position says where in every partition to begin.
type position struct {
	kind positionKind
	n    int64 // offset, number of records, or ms since 1970
}

type positionKind uint8

const (
	atBeginning positionKind = iota + 1
	atEnd
	atOffset
	atLast
	atTime
)

// parsePosition reads a position; now is what a time ago is reckoned from.
func parsePosition(text string, now time.Time) (position, error) {
	switch text {
	case "beginning", "earliest", "start":
		return position{kind: atBeginning}, nil
	case "end", "latest":
		return position{kind: atEnd}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 || strings.HasPrefix(text, "-") {
			return position{atLast, -n}, nil
		}
		return position{atOffset, n}, nil
	}
	if ms, ok := strings.CutPrefix(text, "@"); ok {
		if n, err := strconv.ParseInt(ms, 10, 64); err == nil && n >= 0 {
			return position{atTime, n}, nil
		}
	}
	if ago, ok := strings.CutSuffix(text, "ago"); ok {
		if d, err := time.ParseDuration(strings.TrimSpace(ago)); err == nil && d >= 0 {
			return position{atTime, now.Add(-d).UnixMilli()}, nil
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return position{atTime, t.UnixMilli()}, nil
		}
	}
	return position{}, usagef("position %q: want %s", text, positionHelp)
}

// bounds are a topic's offsets, first and behind the last.
type bounds struct{ start, end kadm.ListedOffsets }

func listBounds(ctx context.Context, adm *kadm.Client, committed bool, topics ...string) (b bounds, err error) {
	if b.start, err = adm.ListStartOffsets(ctx, topics...); err == nil {
		err = b.start.Error()
	}
	if err != nil {
		return b, sayKafka("look up where the partitions start", err, "")
	}
	ends := adm.ListEndOffsets
	if committed {
		ends = adm.ListCommittedOffsets
	}
	if b.end, err = ends(ctx, topics...); err == nil {
		err = b.end.Error()
	}
	return b, sayKafka("look up where the partitions end", err, "")
}

// resolve gives the offset of a position in every partition, within the bounds.
func (p position) resolve(ctx context.Context, adm *kadm.Client, b bounds, topics ...string) (kadm.Offsets, error) {
	var times kadm.ListedOffsets
	if p.kind == atTime {
		var err error
		if times, err = adm.ListOffsetsAfterMilli(ctx, p.n, topics...); err == nil {
			err = times.Error()
		}
		if err != nil {
			return nil, sayKafka("look up a time", err, "")
		}
	}
	out := kadm.Offsets{}
	b.end.Each(func(end kadm.ListedOffset) {
		start, _ := b.start.Lookup(end.Topic, end.Partition)
		at := start.Offset
		switch p.kind {
		case atEnd:
			at = end.Offset
		case atOffset:
			at = p.n
		case atLast:
			at = end.Offset - p.n
		case atTime:
			if found, ok := times.Lookup(end.Topic, end.Partition); ok && found.Offset >= 0 {
				at = found.Offset
			} else {
				at = end.Offset
			}
		}
		out.AddOffset(end.Topic, end.Partition, min(max(at, start.Offset), end.Offset), -1)
	})
	return out, nil
}
