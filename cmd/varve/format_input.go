package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// inputFormatHelp explains the formats of produce.
const inputFormatHelp = `%v value, %k key, %t topic, %p partition, %T timestamp in ms, %h headers as NAME=VALUE,..., %% a
percent sign; %v{base64}, %v{hex}, %k{base64} and %k{hex} are decoded. Text between
two of them ends the first. If the format ends with a character such as \n, that ends a
record; otherwise --delimiter does. json reads what 'varve consume --format json' writes,
without topic, partition, offset and timestamp.`

// template reads records out of lines.
type template struct {
	json   bool
	steps  []step
	end    byte // what ends a record; 0: the format doesn't set it
	keys   bool // lines have keys
	topics bool // lines have topics
}

// step is text that must be there, or a piece of a record.
type step struct {
	text  []byte
	piece byte // 0: text
	as    encoding
}

// template is the value of --format; nil without it.
func (p *produceFlags) template() (*template, error) {
	switch p.format {
	case "":
		return nil, nil
	case "json":
		return &template{json: true, end: '\n', keys: true}, nil
	}
	parts, err := splitFormat(p.format)
	if err != nil {
		return nil, err
	}
	t := &template{}
	for _, x := range parts {
		s := step{text: []byte(x.text), piece: x.verb, as: encoding(x.spec)}
		switch x.verb {
		case 0:
		case 's':
			s.piece = 'v'
		case 'k', 'v', 't', 'p', 'T', 'h':
		default:
			return nil, usagef("format %q: %%%c can't be read. There are:\n%s", p.format, x.verb, inputFormatHelp)
		}
		if s.as == "" && s.piece == 'k' {
			s.as = encoding(p.keyAs)
		}
		if s.as == "" && s.piece == 'v' {
			s.as = encoding(p.valueAs)
		}
		if _, err := encodingNamed("", string(s.as)); x.spec != "" && (err != nil || s.piece != 'k' && s.piece != 'v') {
			return nil, usagef("format %q: %%%c{%s} can't be read: %%k and %%v may be text, base64 or hex", p.format, x.verb, x.spec)
		}
		if n := len(t.steps); n > 0 && s.piece != 0 && t.steps[n-1].piece != 0 {
			return nil, usagef("format %q: between two pieces there must be text, such as a space or \\t", p.format)
		}
		t.keys = t.keys || s.piece == 'k'
		t.topics = t.topics || s.piece == 't'
		t.steps = append(t.steps, s)
	}
	return t, t.ending(p.format)
}

// ending takes the last character of the format as what ends a record.
func (t *template) ending(format string) error {
	if len(t.steps) == 0 || !slices.ContainsFunc(t.steps, func(s step) bool { return s.piece != 0 }) {
		return usagef("--format %q has no piece: it says what is in a line; --file reads a file. There are:\n%s", format, inputFormatHelp)
	}
	last := &t.steps[len(t.steps)-1]
	if last.piece == 0 {
		t.end = last.text[len(last.text)-1]
		if last.text = last.text[:len(last.text)-1]; len(last.text) == 0 {
			t.steps = t.steps[:len(t.steps)-1]
		}
	}
	return nil
}

// read fills a record from a line.
func (t *template) read(r *kgo.Record, line []byte) error {
	if t.json {
		return readJSON(r, line)
	}
	r.Value = nil
	for i, s := range t.steps {
		if s.piece == 0 {
			rest, ok := bytes.CutPrefix(line, s.text)
			if !ok {
				return fmt.Errorf("want %q here: %q", s.text, short(line))
			}
			line = rest
			continue
		}
		at := len(line)
		if i+1 < len(t.steps) {
			if at = bytes.Index(line, t.steps[i+1].text); at < 0 {
				return fmt.Errorf("there is no %q after %%%c", t.steps[i+1].text, s.piece)
			}
		}
		if err := s.set(r, line[:at:at]); err != nil {
			return err
		}
		line = line[at:]
	}
	if len(line) > 0 {
		return fmt.Errorf("more than the format has: %q", short(line))
	}
	return nil
}

// short is the beginning of a line, for a message.
func short(line []byte) []byte { return line[:min(len(line), 40)] }

func (s step) set(r *kgo.Record, b []byte) (err error) {
	switch s.piece {
	case 'k':
		if r.Key, err = s.as.decode(b); err != nil {
			return fmt.Errorf("key: %w", err)
		}
	case 'v':
		if r.Value, err = s.as.decode(b); err != nil {
			return fmt.Errorf("value: %w", err)
		}
	case 't':
		r.Topic = string(b)
	case 'p':
		n, err := strconv.ParseUint(string(b), 10, 31)
		if err != nil {
			return fmt.Errorf("%q is no partition", b)
		}
		r.Partition = int32(n)
	case 'T':
		n, err := strconv.ParseInt(string(b), 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no timestamp in ms", b)
		}
		r.Timestamp = time.UnixMilli(n)
	case 'h':
		if len(b) == 0 {
			return nil
		}
		for h := range bytes.SplitSeq(b, []byte(",")) {
			more, err := headers([]string{string(h)})
			if err != nil {
				return fmt.Errorf("headers %q: want NAME=VALUE, separated by commas", b)
			}
			r.Headers = append(r.Headers[:len(r.Headers):len(r.Headers)], more...)
		}
	}
	return nil
}

// readJSON reads the key, value and headers of a record in JSON. What names the place
// that it was read from doesn't decide where it goes.
func readJSON(r *kgo.Record, line []byte) (err error) {
	var j recordJSON
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&j); err != nil {
		return fmt.Errorf("not a record in JSON: %w", err)
	}
	if d.More() {
		return errors.New("more than one value in JSON")
	}
	if r.Key, err = bytesOf(j.Key, j.KeyBase64); err != nil {
		return fmt.Errorf("key_base64: %w", err)
	}
	if r.Value, err = bytesOf(j.Value, j.ValueBase64); err != nil {
		return fmt.Errorf("value_base64: %w", err)
	}
	r.Headers = r.Headers[:len(r.Headers):len(r.Headers)]
	for _, h := range j.Headers {
		v, err := bytesOf(h.Value, h.ValueBase64)
		if err != nil {
			return fmt.Errorf("value_base64 of header %s: %w", h.Name, err)
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: v})
	}
	return nil
}

// bytesOf undoes textOrBase64.
func bytesOf(text *string, encoded string) ([]byte, error) {
	if encoded != "" {
		return base64.StdEncoding.DecodeString(encoded)
	}
	if text == nil {
		return nil, nil
	}
	return []byte(*text), nil
}
