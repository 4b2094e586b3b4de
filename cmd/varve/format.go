package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// formatHelp explains formats.
const formatHelp = `%v value, %k key, %t topic, %p partition, %o offset, %T timestamp in ms,
%h headers, %V and %K length of value and key in bytes (-1: null), %H number of headers, %e
leader epoch, %% a percent sign; \n, \r, \t, \0 and \xHH are what they are in C.
%v{base64}, %v{hex} and %v{json} are the value encoded, %k{...} the key; %T{rfc3339} is the
time as text, %h{NAME} the header of that name, and %h{%k: %v } a format for each header.
json alone is a line of JSON`

// formatter writes a record; it is made of pieces of a format.
type formatter []pieceWriter

type pieceWriter func(b []byte, r *kgo.Record) []byte

// part of a format: text, or a verb with what stands in braces after it.
type part struct {
	text string
	verb byte // 0: text
	spec string
}

// splitFormat reads a format like kcat's and rpk's.
func splitFormat(text string) (parts []part, err error) {
	literal := ""
	flush := func() {
		if s := unescape(literal); s != "" {
			parts = append(parts, part{text: s})
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
		flush()
		p := part{verb: text[i]}
		if i+1 < len(text) && text[i+1] == '{' && strings.IndexByte(braced, text[i]) >= 0 {
			end := closing(text[i+1:])
			if end < 0 {
				return nil, usagef("format %q: there is no } to the { after %%%c", text, text[i])
			}
			p.spec = text[i+2 : i+1+end]
			i += 1 + end
		}
		parts = append(parts, p)
	}
	flush()
	return parts, nil
}

// braced are the verbs after which { begins what they mean.
const braced = "vskTh"

// closing is where the brace closes with which text begins; -1: nowhere.
func closing(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// parseFormat makes a formatter; keys and values are encoded as said unless the format
// says it.
func parseFormat(text string, keyAs, valueAs encoding) (f formatter, err error) {
	parts, err := splitFormat(text)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		w := pieces[p.verb]
		switch {
		case p.verb == 0:
			w = func(b []byte, _ *kgo.Record) []byte { return append(b, p.text...) }
		case w == nil:
			return nil, usagef("format %q: %%%c is not known. There are:\n%s", text, p.verb, formatHelp)
		case p.verb == 'k':
			w, err = encodedPiece(text, p, keyAs, func(r *kgo.Record) []byte { return r.Key })
		case p.verb == 'v' || p.verb == 's':
			w, err = encodedPiece(text, p, valueAs, func(r *kgo.Record) []byte { return r.Value })
		case p.spec != "" && p.verb == 'T':
			w, err = timePiece(text, p.spec)
		case p.spec != "":
			w, err = headerPiece(p.spec)
		}
		if err != nil {
			return nil, err
		}
		f = append(f, w)
	}
	return f, nil
}

func encodedPiece(format string, p part, as encoding, of func(*kgo.Record) []byte) (pieceWriter, error) {
	switch encoding(p.spec) {
	case "":
	case asText, asBase64, asHex, asJSON:
		as = encoding(p.spec)
	default:
		return nil, usagef("format %q: %%%c{%s} is not known; there are text, base64, hex and json", format, p.verb, p.spec)
	}
	return func(b []byte, r *kgo.Record) []byte { return as.append(b, of(r)) }, nil
}

func timePiece(format, spec string) (pieceWriter, error) {
	switch spec {
	case "ms":
		return pieces['T'], nil
	case "rfc3339", "iso":
		return func(b []byte, r *kgo.Record) []byte {
			return r.Timestamp.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
		}, nil
	}
	return nil, usagef("format %q: %%T{%s} is not known; there are ms and rfc3339", format, spec)
}

// headerPiece writes the header of a name, or each in a format of its own.
func headerPiece(spec string) (pieceWriter, error) {
	if !strings.Contains(spec, "%") {
		return func(b []byte, r *kgo.Record) []byte {
			for _, h := range r.Headers {
				if h.Key == spec {
					return append(b, h.Value...)
				}
			}
			return b
		}, nil
	}
	inner, err := parseFormat(spec, asText, asText)
	if err != nil {
		return nil, err
	}
	return func(b []byte, r *kgo.Record) []byte {
		for _, h := range r.Headers {
			b = inner.append(b, &kgo.Record{Key: []byte(h.Key), Value: h.Value, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp})
		}
		return b
	}, nil
}

func (f formatter) append(b []byte, r *kgo.Record) []byte {
	for _, piece := range f {
		b = piece(b, r)
	}
	return b
}

var pieces = map[byte]pieceWriter{
	'v': func(b []byte, r *kgo.Record) []byte { return append(b, r.Value...) },
	's': func(b []byte, r *kgo.Record) []byte { return append(b, r.Value...) },
	'k': func(b []byte, r *kgo.Record) []byte { return append(b, r.Key...) },
	't': func(b []byte, r *kgo.Record) []byte { return append(b, r.Topic...) },
	'p': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, int64(r.Partition), 10) },
	'o': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, r.Offset, 10) },
	'T': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, r.Timestamp.UnixMilli(), 10) },
	'd': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, r.Timestamp.UnixMilli(), 10) },
	'e': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, int64(r.LeaderEpoch), 10) },
	'V': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, length(r.Value), 10) },
	'S': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, length(r.Value), 10) },
	'K': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, length(r.Key), 10) },
	'H': func(b []byte, r *kgo.Record) []byte { return strconv.AppendInt(b, int64(len(r.Headers)), 10) },
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

// unescape replaces \n, \r, \t, \0, \xHH and \\.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; {
		case strings.IndexByte(`\nrt0`, c) >= 0:
			b.WriteByte("\\\n\r\t\x00"[strings.IndexByte(`\nrt0`, c)])
		case c == 'x' && i+2 < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
			b.WriteString(`\x`)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
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
		b = f.append(b[:0], r)
		_, err := w.Write(b)
		return err
	}
}

// reporter writes records that were acknowledged, in a format or as JSON; nil without one.
func reporter(format string, w io.Writer) (func(*kgo.Record) error, error) {
	if format == "" {
		return nil, nil
	}
	write := jsonRecords(w)
	if format != "json" {
		f, err := parseFormat(format, asText, asText)
		if err != nil {
			return nil, err
		}
		write = formattedRecords(w, f)
	}
	var one sync.Mutex // partitions are acknowledged beside each other
	return func(r *kgo.Record) error {
		one.Lock()
		defer one.Unlock()
		return write(r)
	}, nil
}
