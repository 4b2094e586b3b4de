package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// timeHelp explains times.
const timeHelp = "a time (2026-01-31T12:00:00Z, '2026-01-31 12:00' or 2026-01-31, local without a zone), @ and a time or Unix time (@1767225600 in seconds, @1767225600000 in ms), or a time ago ('1d ago', '5 minutes ago', -1h30m)"

// positionHelp explains positions.
const positionHelp = "start, end, an offset, -N for the last N records of each partition, +N for N after its first, " + timeHelp

// rangeHelp explains ranges.
const rangeHelp = positionHelp + `.
Two of them with a colon between are a range: from the first until before the second, such as
10:20, :end, -100:end, @2026-01-31:@2026-02-01, '@-2h:@-1h'`

// position reports where in every partition to begin, or to end.
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
	atFirst
	atTime
)

// parsePosition reads a position; now is what a time ago is reckoned from.
func parsePosition(text string, now time.Time) (position, error) {
	if p, ok := positionOf(strings.TrimSpace(text), now); ok {
		return p, nil
	}
	return position{}, noPosition(text, positionHelp)
}

func positionOf(text string, now time.Time) (position, bool) {
	switch strings.ToLower(text) {
	case "beginning", "earliest", "start", "oldest":
		return position{kind: atBeginning}, true
	case "end", "latest", "newest":
		return position{kind: atEnd}, true
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		switch {
		case strings.HasPrefix(text, "-"):
			return position{atLast, -n}, n > -1<<62
		case strings.HasPrefix(text, "+"):
			return position{atFirst, n}, true
		}
		return position{atOffset, n}, true
	}
	if ms, ok := timeOf(text, now); ok {
		return position{atTime, ms}, true
	}
	return position{}, false
}

// span is where to read; end may be zero: until the end of what is there.
type span struct{ from, to position }

// parseSpan reads a position, or a range of two.
func parseSpan(text string, now time.Time) (span, error) {
	text = strings.TrimSpace(text)
	if p, ok := positionOf(text, now); ok {
		return span{from: p}, nil
	}
	for i := range len(text) {
		if text[i] != ':' {
			continue
		}
		from, begins := half(text[:i], "", now, position{kind: atBeginning})
		to, ends := half(text[i+1:], text[:i], now, position{kind: atEnd})
		if begins && ends {
			return span{from, to}, nil
		}
	}
	return span{}, noPosition(text, rangeHelp)
}

// backwards reports whether the end is before the beginning, wherever the log begins and ends.
func (s span) backwards() bool {
	if s.from.kind == atLast {
		return s.to.kind == atLast && s.from.n < s.to.n
	}
	return s.from.kind == s.to.kind && s.from.n > s.to.n
}

func noPosition(text, help string) error {
	if _, ok := longDuration(strings.ToLower(text)); ok {
		return usagef("position %q: a time ago has a minus before it, or 'ago' after it: -%s, '%s ago'", text, text, text)
	}
	return usagef("position %q: want %s", text, help)
}

// half reads one side of a range; the second is a time if the first is one.
func half(text, before string, now time.Time, empty position) (position, bool) {
	text = strings.TrimSpace(text)
	if text == "" || text == "@" {
		return empty, true
	}
	if _, err := strconv.ParseInt(text, 10, 64); err == nil && strings.HasPrefix(before, "@") {
		text = "@" + text
	}
	return positionOf(text, now)
}

// bounded reports whether there is an end of its own.
func (s span) bounded() bool { return s.to.kind != 0 }

// bounds are a topic's offsets, of the first record and after the last.
type bounds struct{ start, end kadm.ListedOffsets }

func listBounds(ctx context.Context, adm *adminClient, committed bool, topics ...string) (b bounds, err error) {
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

// resolve finds the offset of a position in every partition, within the bounds.
func (p position) resolve(ctx context.Context, adm *adminClient, b bounds, topics ...string) (kadm.Offsets, error) {
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
		case atFirst:
			at = start.Offset + p.n
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

// outside reports how an offset is beyond what a partition holds, or nothing.
func outside(at, start, end int64) string {
	switch {
	case at > end:
		return fmt.Sprintf("%d is after the end, %d", at, end)
	case at < start:
		return fmt.Sprintf("%d is before the start, %d", at, start)
	}
	return ""
}
