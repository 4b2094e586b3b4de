package kafka

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/workbound"
)

func flexible(key, version int16) bool {
	r := kmsg.RequestForKey(key)
	if r == nil {
		return false
	}
	r.SetVersion(version)
	return r.IsFlexible()
}

func TestRequestsRoundTrip(t *testing.T) {
	for _, version := range []int16{3, 9} {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks = version, -1
		req.Topics = append(req.Topics, kmsg.ProduceRequestTopic{Topic: "t"})
		frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("me")).AppendRequest(nil, req, 42)
		content, err := ReadFrame(bytes.NewReader(frame), nil, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		h, body, err := ParseHeader(content, flexible)
		if err != nil || h != (RequestHeader{0, version, 42, "me"}) {
			t.Fatalf("%+v, %v", h, err)
		}
		got := kmsg.NewPtrProduceRequest()
		got.Version = version
		if err := Decode(body, got); err != nil || got.Topics[0].Topic != "t" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

func TestFramesAreBounded(t *testing.T) {
	if _, err := ReadFrame(strings.NewReader("\x7f\xff\xff\xff"), nil, 100); !errors.Is(err, ErrFrame) {
		t.Errorf("too large: %v", err)
	}
	if _, err := ReadFrame(strings.NewReader("\xff\xff\xff\xff"), nil, 100); !errors.Is(err, ErrFrame) {
		t.Errorf("negative: %v", err)
	}
	if _, err := ReadFrame(strings.NewReader(""), nil, 100); err != io.EOF {
		t.Errorf("empty: %v", err)
	}
	buf, err := ReadFrame(strings.NewReader("\x06\x00\x00\x00abc"), nil, 100<<20)
	if !errors.Is(err, io.ErrUnexpectedEOF) || cap(buf) > growBytes {
		t.Errorf("a lie of 100 MB made room for %d bytes, %v", cap(buf), err)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(kmsg.NewRequestFormatter(kmsg.FormatterClientID("me")).AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 42)[4:])
	for key := range int16(kmsg.MaxKey) + 1 {
		if req := kmsg.RequestForKey(key); req != nil {
			version := req.MaxVersion()
			header := []byte{0, byte(key), 0, byte(version), 0, 0, 0, 1, 0xff, 0xff}
			if flexible(key, version) {
				header = append(header, 0)
			}
			f.Add(append(header, filledRequest(key, version)...))
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := ParseHeader(frame, flexible)
		if err != nil {
			return
		}
		req := kmsg.RequestForKey(h.Key)
		if req == nil || h.Version < 0 || h.Version > req.MaxVersion() {
			return
		}
		req.SetVersion(h.Version)
		workbound.Check(t, len(frame), func() { _ = Decode(body, req) })
	})
}

// A client that speaks TLS or HTTP is told apart from one that sends nonsense.
func TestForeignProtocolsAreNamed(t *testing.T) {
	for sent, want := range map[string]string{"\x16\x03\x01\x02\x00\x01": "looks like TLS", "GET / HTTP/1.1": "looks like HTTP", "PRI * HTTP/2.0": "looks like HTTP", "\xff\xff\xff\xff": "allowed: malformed"} {
		_, err := ReadFrameSize(strings.NewReader(sent), 100<<20)
		if !errors.Is(err, ErrFrame) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", sent, err)
		}
	}
}
