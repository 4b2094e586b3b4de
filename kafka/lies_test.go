package kafka

import (
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/workbound"
)

// lies are the encodings of counts that no input can hold: of tagged fields and
// compact arrays, of arrays, and of strings.
var lies = [][]byte{
	{0xff, 0xff, 0xff, 0xff, 0x0f}, // uvarint 2^32-1
	{0xff, 0xff, 0xff, 0xff, 0x07}, // uvarint 2^31-1
	{0x7f, 0xff, 0xff, 0xff},       // int32
	{0x7f, 0xff},                   // int16
}

// TestWorkIsBoundedByTheFrame: whatever count a request claims, wherever it stands,
// and whether anything comes after it, decoding costs no more than its bytes. It
// covers every API and version that kmsg knows, those that are not served included.
func TestWorkIsBoundedByTheFrame(t *testing.T) {
	for key := range int16(kmsg.MaxKey) + 1 {
		if kmsg.RequestForKey(key) == nil {
			continue
		}
		t.Run(kmsg.NameForKey(key), func(t *testing.T) {
			for version := range kmsg.RequestForKey(key).MaxVersion() + 1 {
				body := filledRequest(key, version)
				workbound.Check(t, len(body)*len(body)*2*len(lies), func() { decodeLies(key, version, body) })
			}
		})
	}
}

// decodeLies decodes body with each of the lies in each place: the rest cut off, and kept.
func decodeLies(key, version int16, body []byte) {
	for at := range len(body) + 1 {
		for _, lie := range lies {
			cut := append(append([]byte{}, body[:at]...), lie...)
			for _, frame := range [][]byte{cut, append(cut, body[min(at+1, len(body)):]...)} {
				req := kmsg.RequestForKey(key)
				req.SetVersion(version)
				_ = Decode(frame, req)
			}
		}
	}
}

// filledRequest encodes a request in which every array has an element.
func filledRequest(key, version int16) []byte {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	fill(reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	return req.AppendTo(nil)
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(f)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("x")
	}
}

// The frame with which a few bytes cost a minute: the section of tagged fields at the
// end of a Metadata request claims 2^32-1 fields.
func TestTagsThatLie(t *testing.T) {
	frame := []byte("\x00\x03\x00\x0c\x00\x00\x00\x01\x00\x02dx\x00\x00\x00\x00\xff\xff\xff\xff\x0f")
	workbound.Check(t, len(frame), func() {
		h, body, err := ParseHeader(frame, flexible)
		if err != nil || h.Key != int16(kmsg.Metadata) {
			t.Fatal(h, err)
		}
		req := kmsg.RequestForKey(h.Key)
		req.SetVersion(h.Version)
		if err := Decode(body, req); err == nil {
			t.Error("it was decoded")
		}
	})
	for _, lie := range lies { // in the header's own section
		frame := append(binary.BigEndian.AppendUint16(nil, uint16(kmsg.Metadata)), 0, 12, 0, 0, 0, 1, 0xff, 0xff)
		frame = append(frame, lie...)
		workbound.Check(t, len(frame), func() { _, _, _ = ParseHeader(frame, flexible) })
	}
}
