package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lineReader cuts input into records.
type lineReader struct {
	end         byte
	key         []byte // of every record
	keyEnd      []byte // nil: no keys in lines
	template    *template
	keyAs       encoding
	valueAs     encoding
	headers     []kgo.RecordHeader
	partition   int32
	timestamp   time.Time
	max         int
	emptyAsNull bool
	tombstone   bool
	read        atomic.Int64 // bytes of input
}

func (p *produceFlags) lines() (*lineReader, error) {
	template, err := p.template()
	if err != nil {
		return nil, err
	}
	end := unescape(p.delimiter)
	if len(end) != 1 {
		return nil, usagef(`--delimiter is %q: must be one character, or \n, \r, \t, \0`, p.delimiter)
	}
	l := &lineReader{end: end[0], max: p.maxRecord, emptyAsNull: p.emptyAsNull, tombstone: p.tombstone, template: template, partition: p.partition}
	if template != nil && template.end != 0 {
		l.end = template.end
	}
	if l.keyAs, err = encodingNamed("--key-encoding", p.keyAs); err != nil {
		return nil, err
	}
	if l.valueAs, err = encodingNamed("--value-encoding", p.valueAs); err != nil {
		return nil, err
	}
	if template != nil && p.keyDelim != "" {
		return nil, usagef("--key-delimiter and --format exclude each other: %%k in the format is the key")
	}
	if p.keyed && (p.keyDelim != "" || template != nil && template.keys) {
		return nil, usagef("--key is the key of every record: lines can't have keys of their own")
	}
	if p.keyDelim != "" {
		l.keyEnd = []byte(unescape(p.keyDelim))
	}
	if p.keyed {
		if l.key, err = l.keyAs.decode([]byte(p.key)); err != nil {
			return nil, usagef("--key %q: %w", p.key, err)
		}
	}
	if p.timestamp != "" {
		at, err := parsePosition(p.timestamp, time.Now())
		if err != nil || at.kind != atTime {
			return nil, usagef("--timestamp %q: want %s", p.timestamp, timeHelp)
		}
		l.timestamp = time.UnixMilli(at.n)
	}
	l.headers, err = headers(p.headers)
	return l, err
}

// headers reads NAME=VALUE, or NAME:VALUE.
func headers(list []string) (out []kgo.RecordHeader, err error) {
	for _, h := range list {
		at := strings.IndexAny(h, "=:")
		if at < 1 {
			return nil, usagef("--header %q: want NAME=VALUE", h)
		}
		out = append(out, kgo.RecordHeader{Key: h[:at], Value: []byte(h[at+1:])})
	}
	return out, nil
}

// each passes the records on in order, with the numbers of their lines, until the input
// or ctx ends. Input that is waiting for a terminal or pipe is left alone when ctx ends.
func (l *lineReader) each(ctx context.Context, in io.Reader, give func(r *kgo.Record, line int64) error) error {
	if l.tombstone && l.key != nil && isTerminal(in) {
		in = strings.NewReader("")
	}
	chunks := make(chan [][]byte, 2)
	var failed error
	go func() { // a read from a terminal can't be interrupted: it ends with the process
		defer close(chunks)
		failed = l.scan(ctx, in, chunks)
	}()
	for n := int64(1); ; {
		select {
		case lines, more := <-chunks:
			if !more {
				if n == 1 && failed == nil && l.tombstone && l.key != nil && ctx.Err() == nil {
					return l.record(nil, n, give)
				}
				return failed
			}
			for _, line := range lines {
				if err := l.record(line, n, give); err != nil || ctx.Err() != nil {
					return err
				}
				n++
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// scan reads lines, and passes them on in chunks of what is there already.
func (l *lineReader) scan(ctx context.Context, in io.Reader, chunks chan<- [][]byte) error {
	r := bufio.NewReaderSize(in, 256<<10)
	var chunk [][]byte
	size := 0
	flush := func() bool {
		if len(chunk) > 0 {
			select {
			case chunks <- chunk:
			case <-ctx.Done():
				return false
			}
			chunk, size = nil, 0
		}
		return true
	}
	for n := 1; ; n++ {
		line, err := l.line(r)
		if err != nil && !errors.Is(err, io.EOF) {
			flush()
			if errors.Is(err, errLong) {
				return usagef("record %d is longer than %d bytes; --max-record-bytes allows more", n, l.max)
			}
			return fmt.Errorf("read input: %w", err)
		}
		if err == nil || len(line) > 0 {
			chunk, size = append(chunk, line), size+len(line)+64
		}
		if err != nil || size > 256<<10 || r.Buffered() == 0 {
			if !flush() || err != nil {
				return nil
			}
		}
	}
}

var errLong = errors.New("line too long")

// line reads one line, without its end, into memory of its own.
func (l *lineReader) line(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice(l.end)
		l.read.Add(int64(len(part)))
		line = append(line, part...)
		if len(line) > l.max+1 || len(line) == l.max+1 && err != nil {
			return nil, errLong
		}
		if err == nil {
			return line[:len(line)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func (l *lineReader) record(line []byte, n int64, give func(*kgo.Record, int64) error) (err error) {
	r := &kgo.Record{Key: l.key, Value: line, Headers: l.headers, Partition: l.partition, Timestamp: l.timestamp}
	switch {
	case l.template != nil:
		if err := l.template.read(r, line); err != nil {
			return usagef("line %d: %w", n, err)
		}
	case l.keyEnd != nil:
		key, value, ok := bytes.Cut(line, l.keyEnd)
		if !ok {
			return usagef("record %d has no key: there is no %q in it", n, l.keyEnd)
		}
		r.Key, r.Value = key, value
		if r.Key, err = l.keyAs.decode(r.Key); err != nil {
			return usagef("line %d: key: %w", n, err)
		}
	}
	if l.template == nil {
		if r.Value, err = l.valueAs.decode(r.Value); err != nil {
			return usagef("line %d: value: %w", n, err)
		}
	}
	if l.emptyAsNull {
		r.Key = nullIfEmpty(r.Key)
	}
	switch {
	case l.emptyAsNull || l.tombstone:
		r.Value = nullIfEmpty(r.Value)
	case r.Value == nil && (l.template == nil || !l.template.json):
		r.Value = []byte{}
	}
	return give(r, n)
}

func nullIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
