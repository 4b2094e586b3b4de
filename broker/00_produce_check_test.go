package broker

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/workbound"
	"varve/kafka"
)

func produceBody(version int16) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = version, -1
	for range 3 {
		t := kmsg.NewProduceRequestTopic()
		t.Topic = "topic"
		for p := range int32(4) {
			t.Partitions = append(t.Partitions, kmsg.ProduceRequestTopicPartition{Partition: p, Records: []byte("records")})
		}
		req.Topics = append(req.Topics, t)
	}
	return req.AppendTo(nil)
}

func TestProduceIsCheckedBeforeItIsDecoded(t *testing.T) {
	for v := int16(0); v <= 13; v++ {
		body := produceBody(v)
		if err := checkProduce(body, v); err != nil {
			t.Errorf("version %d: %v", v, err)
		}
		for n := range body {
			if err := checkProduce(body[:n], v); !errors.Is(err, kafka.ErrFrame) {
				t.Errorf("version %d cut to %d of %d: %v", v, n, len(body), err)
				break
			}
		}
	}
	// A count that the frame's bytes would just allow.
	lie := append([]byte{0xff, 0xff, 0, 0, 0, 0, 0, 0, 0x00, 0x10, 0x00, 0x00}, make([]byte, 1<<20)...)
	if err := checkProduce(lie, 3); !errors.Is(err, kafka.ErrFrame) {
		t.Errorf("a million topics: %v", err)
	}
}

func FuzzCheckProduce(f *testing.F) {
	for _, v := range []int16{3, 9, 13} {
		f.Add(produceBody(v), v)
	}
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		version = max(0, version%14)
		before := bytes.Clone(body)
		var err error
		workbound.Check(t, len(body), func() { err = checkProduce(body, version) })
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		req := kmsg.NewPtrProduceRequest()
		req.Version = version
		if decoded := req.ReadFrom(body); decoded == nil && err != nil && len(body) < 1000 {
			t.Fatalf("version %d decodes, but was refused: %v", version, err)
		}
	})
}
