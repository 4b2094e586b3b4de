package broker

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/workbound"
	"varve/kafka"
)

func commitBody(version int16) []byte {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID = version, "group", "member"
	instance, text := "instance", "metadata"
	req.InstanceID = &instance
	for range 3 {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = "topic"
		for i := range int32(2) {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Metadata = i, &text
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req.AppendTo(nil)
}

func TestCheckCommit(t *testing.T) {
	for version := int16(2); version <= 10; version++ {
		body := commitBody(version)
		if err := checkCommit(body, version); err != nil {
			t.Errorf("version %d: %v", version, err)
		}
		for n := range body {
			if err := checkCommit(body[:n], version); !errors.Is(err, kafka.ErrFrame) {
				t.Errorf("version %d cut to %d bytes: %v", version, n, err)
			}
		}
	}
	lie := append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x10, 0, 0}, make([]byte, 1<<20)...)
	if err := checkCommit(lie, 2); !errors.Is(err, kafka.ErrFrame) {
		t.Errorf("a million topics: %v", err)
	}
}

func FuzzCheckCommit(f *testing.F) {
	for version := int16(2); version <= 10; version++ {
		f.Add(commitBody(version), version)
	}
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		if version < 2 || version > 10 {
			return
		}
		var err error
		workbound.Check(t, len(body), func() { err = checkCommit(body, version) })
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version = version
		// kmsg drops the upper bits of numbers that are too long.
		if decoded := req.ReadFrom(body); decoded == nil && err != nil && bytes.Equal(req.AppendTo(nil), body) {
			t.Fatalf("version %d decodes, but was refused: %v", version, err)
		}
	})
}
