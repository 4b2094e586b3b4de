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

	"github.com/twmb/franz-go/pkg/kgo"
)

// lineReader cuts input into records.
type lineReader struct {
	end         byte
	keyEnd      []byte // nil: no keys
	headers     []kgo.RecordHeader
	max         int
	emptyAsNull bool
	read        atomic.Int64 // bytes of input
}

func (p *produceFlags) lines() (*lineReader, error) {
	end := unescape(p.delimiter)
	if len(end) != 1 {
		return nil, usagef(`--delimiter is %q: must be one character, or \n, \r, \t, \0`, p.delimiter)
	}
	l := &lineReader{end: end[0], max: p.maxRecord, emptyAsNull: p.emptyAsNull}
	if p.keyDelim != "" {
		l.keyEnd = []byte(unescape(p.keyDelim))
	}
	for _, h := range p.headers {
		k, v, ok := strings.Cut(h, "=")
		if !ok {
			return nil, usagef("--header %q: want NAME=VALUE", h)
		}
		l.headers = append(l.headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
	}
	return l, nil
}

// each gives the records in order until the input or ctx ends. Input that is
// waiting for a terminal or pipe is left alone when ctx ends.
func (l *lineReader) each(ctx context.Context, in io.Reader, give func(*kgo.Record)) error {
	lines := make(chan []byte, 64)
	var failed error
	go func() { // a read from a terminal can't be interrupted: it ends with the process
		defer close(lines)
		failed = l.scan(ctx, in, lines)
	}()
	for n := 1; ; n++ {
		select {
		case line, more := <-lines:
			if !more {
				return failed
			}
			if err := l.record(line, n, give); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *lineReader) scan(ctx context.Context, in io.Reader, lines chan<- []byte) error {
	r := bufio.NewReaderSize(in, 256<<10)
	for n := 1; ; n++ {
		line, err := l.line(r)
		if errors.Is(err, errLong) {
			return usagef("record %d is longer than %d bytes; --max-record-bytes allows more", n, l.max)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read input: %w", err)
		}
		if err == nil || len(line) > 0 {
			select {
			case lines <- line:
			case <-ctx.Done():
				return nil
			}
		}
		if err != nil {
			return nil
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

func (l *lineReader) record(line []byte, n int, give func(*kgo.Record)) error {
	r := &kgo.Record{Value: line, Headers: l.headers}
	if l.keyEnd != nil {
		key, value, ok := bytes.Cut(line, l.keyEnd)
		if !ok {
			return usagef("record %d has no key: there is no %q in it", n, l.keyEnd)
		}
		r.Key, r.Value = key, value
	}
	if l.emptyAsNull {
		r.Key, r.Value = nullIfEmpty(r.Key), nullIfEmpty(r.Value)
	} else if r.Value == nil {
		r.Value = []byte{}
	}
	give(r)
	return nil
}

func nullIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// unescape replaces \n, \r, \t, \0 and \\.
func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r", `\t`, "\t", `\0`, "\x00").Replace(s)
}
