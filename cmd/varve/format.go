package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// formatHelp explains formats.
const formatHelp = `%v value, %k key, %t topic, %p partition, %o offset, %T timestamp in ms,
%h headers, %V and %K length of value and key in bytes (-1: null), %% a percent sign;
\n, \r, \t and \0 are what they are in C`

// formatter writes a record; it is made of pieces of a format.
type formatter []func(b []byte, r *kgo.Record) []byte

// parseFormat reads a format like kcat's.
func parseFormat(text string) (f formatter, err error) {
	literal := ""
	flush := func() {
		if s := unescape(literal); s != "" {
			f = append(f, func(b []byte, _ *kgo.Record) []byte { return append(b, s...) })
		}
		literal = ""
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			literal += text[i : i+1]
			continue
		}
		i++
		if i == len(text) {
			return nil, usagef("format %q ends with %%; %%%% is a percent sign", text)
		}
		if text[i] == '%' {
			literal += "%"
			continue
		}
		piece, ok := pieces[text[i]]
		if !ok {
			return nil, usagef("format %q: %%%c is not known. There are:\n%s", text, text[i], formatHelp)
		}
		flush()
		f = append(f, piece)
	}
	flush()
	return f, nil
}

var pieces = map[byte]func(b []byte, r *kgo.Record) []byte{
	'v': func(b []byte, r *kgo.Record) []byte { return append(b, r.Value...) },
	's': func(b []byte, r *kgo.Record) []byte { return append(b, r.Value...) },
	'k': func(b []byte, r *kgo.Record) []byte { return append(b, r.Key...) },
	't': func(b []byte, r *kgo.Record) []byte { return append(b, r.Topic...) },
	'p': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, int64(r.Partition), 10) },
	'o': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, r.Offset, 10) },
	'T': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, r.Timestamp.UnixMilli(), 10) },
	'V': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, length(r.Value), 10) },
	'S': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, length(r.Value), 10) },
	'K': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, length(r.Key), 10) },
	'h': func(b []byte, r *kgo.Record) []byte {
		for i, h := range r.Headers {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(append(b, h.Key...), '='), h.Value...)
		}
		return b
	},
}

func length(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

// recordJSON is a record as consume --json writes it, one a line. Bytes that are
// no UTF-8 text are in the field in base64 instead.
type recordJSON struct {
	Topic       string       `json:"topic"`
	Partition   int32        `json:"partition"`
	Offset      int64        `json:"offset"`
	Timestamp   int64        `json:"timestamp_ms"`
	Key         *string      `json:"key"`
	KeyBase64   string       `json:"key_base64,omitempty"`
	Value       *string      `json:"value"`
	ValueBase64 string       `json:"value_base64,omitempty"`
	Headers     []headerJSON `json:"headers"`
}

// headerJSON is a header of a record.
type headerJSON struct {
	Name        string  `json:"name"`
	Value       *string `json:"value"`
	ValueBase64 string  `json:"value_base64,omitempty"`
}

func textOrBase64(b []byte) (text *string, encoded string) {
	switch {
	case b == nil:
		return nil, ""
	case utf8.Valid(b):
		s := string(b)
		return &s, ""
	}
	return nil, base64.StdEncoding.EncodeToString(b)
}

// jsonRecords writes records as lines of JSON.
func jsonRecords(w io.Writer) func(*kgo.Record) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(r *kgo.Record) error {
		j := recordJSON{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Headers: []headerJSON{}}
		j.Key, j.KeyBase64 = textOrBase64(r.Key)
		j.Value, j.ValueBase64 = textOrBase64(r.Value)
		for _, h := range r.Headers {
			hj := headerJSON{Name: h.Key}
			hj.Value, hj.ValueBase64 = textOrBase64(h.Value)
			j.Headers = append(j.Headers, hj)
		}
		return e.Encode(j)
	}
}

// formattedRecords writes records in a format.
func formattedRecords(w io.Writer, f formatter) func(*kgo.Record) error {
	var b []byte
	return func(r *kgo.Record) error {
		b = b[:0]
		for _, piece := range f {
			b = piece(b, r)
		}
		_, err := w.Write(b)
		return err
	}
}
