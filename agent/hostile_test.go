package agent

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/kafka"
)

// dial opens a raw connection.
func (r *running) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// frame puts a length in front.
func frame(content []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

// header makes a request header that no client would.
func header(key, version int16) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)
	return append(b, 0xff, 0xff)
}

// TestHostileFramesHarmNobody is promise 9: each ends its own connection, and a
// client beside them notices nothing.
func TestHostileFramesHarmNobody(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.Kafka.RequestTimeout, c.Kafka.IdleTimeout = 300*time.Millisecond, 2*time.Second }
	a := w.start()
	a.produce("t", 0, 10)
	random := make([]byte, 4096)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	random[0] = 0
	absurd := frame(append(header(3, 1), 0x7f, 0xff, 0xff, 0xff)) // Metadata with 2^31-1 topics
	for name, sent := range map[string][]byte{
		"a huge length":         {0x7f, 0xff, 0xff, 0xff, 1, 2, 3},
		"a negative length":     {0xff, 0xff, 0xff, 0xff},
		"an empty frame":        frame(nil),
		"half a header":         frame([]byte{0, 3, 0}),
		"random bytes":          random,
		"an HTTP request":       []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"an unknown API":        frame(header(999, 0)),
		"a negative API":        frame(header(-1, 0)),
		"an unserved version":   frame(header(3, 99)),
		"an absurd array":       absurd,
		"a client id that lies": frame([]byte{0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 'x'}),
		"a frame that stops":    {0, 0, 1, 0, 1, 2, 3},
		"tags that lie":         frame(append(header(18, 3), 0xff, 0xff, 0xff, 0xff, 0x0f)),
	} {
		c := a.dial()
		if _, err := c.Write(sent); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Errorf("%s: the connection stays open", name)
			}
		}
	}
	a.produce("t", 10, 20)
	a.consume("t", 20)
}

// ask sends one request and decodes the answer.
func (r *running) ask(c net.Conn, req kmsg.Request) kmsg.Response {
	r.t.Helper()
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 5)); err != nil {
		r.t.Fatal(err)
	}
	content, err := kafka.ReadFrame(c, nil, 64<<20)
	if err != nil {
		r.t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	resp := req.ResponseKind()
	at := 4
	if resp.IsFlexible() && req.Key() != 18 {
		at++
	}
	if err := resp.ReadFrom(content[at:]); err != nil {
		r.t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return resp
}

func TestNewerClientLearnsTheVersions(t *testing.T) {
	a := newWorld(t).start()
	c := a.dial()
	if _, err := c.Write(frame(append(header(18, 99), 0, 1, 'x'))); err != nil {
		t.Fatal(err)
	}
	content, err := kafka.ReadFrame(c, nil, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	if err := resp.ReadFrom(content[4:]); err != nil || resp.ErrorCode != kerr.UnsupportedVersion.Code || len(resp.ApiKeys) < 20 {
		t.Fatalf("%d keys, code %d, %v", len(resp.ApiKeys), resp.ErrorCode, err)
	}
}

// TestCorruptBatchesAreRefused gives each partition's answer the documented code,
// and stores nothing.
func TestCorruptBatchesAreRefused(t *testing.T) {
	a := newWorld(t).start()
	a.produce("t", 0, 1)
	good, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: time.Now().UnixMilli(), Value: []byte("v")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for name, c := range map[string]struct {
		records []byte
		want    *kerr.Error
	}{
		"checksum":        {spoil(len(good)-1, 0x55), kerr.CorruptMessage},
		"old format":      {spoil(16, 1), kerr.InvalidRecord},
		"unknown format":  {spoil(16, 9), kerr.CorruptMessage},
		"length too long": {spoil(10, 0x7f), kerr.InvalidRecord},
		"cut off":         {good[:30], kerr.InvalidRecord},
		"nothing":         {nil, kerr.InvalidRecord},
		"two batches":     {append(bytes.Clone(good), good...), kerr.InvalidRecord},
	} {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis = 9, -1, 5000
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: 0, Records: c.records}}}}
		resp := a.ask(a.dial(), req).(*kmsg.ProduceResponse)
		if got := resp.Topics[0].Partitions[0].ErrorCode; got != c.want.Code {
			t.Errorf("%s: code %d (%v), want %v", name, got, kerr.ErrorForCode(got), c.want.Message)
		}
	}
	if s := a.owned.All()[0].State(); s.End != 1 {
		t.Errorf("the log ends at %d", s.End)
	}
}

// TestEveryVersionIsAnswered sends each API that is advertised in each of its
// versions with default fields: the answer must decode, the connection stay.
func TestEveryVersionIsAnswered(t *testing.T) {
	a := newWorld(t).start()
	versions := a.ask(a.dial(), &kmsg.ApiVersionsRequest{Version: 0}).(*kmsg.ApiVersionsResponse)
	for _, k := range versions.ApiKeys {
		for v := k.MinVersion; v <= k.MaxVersion; v++ {
			req := kmsg.RequestForKey(k.ApiKey)
			req.SetVersion(v)
			if d, ok := req.(interface{ Default() }); ok {
				d.Default()
			}
			switch r := req.(type) {
			case *kmsg.ProduceRequest:
				r.Acks = -1
			case *kmsg.ApiVersionsRequest:
				r.ClientSoftwareName, r.ClientSoftwareVersion = "test", "1"
			}
			a.ask(a.dial(), req)
		}
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.Kafka.MaxConnections = 3 }
	a := w.start()
	var open []net.Conn
	for range 3 {
		c := a.dial()
		a.ask(c, &kmsg.ApiVersionsRequest{Version: 0})
		open = append(open, c)
	}
	if _, err := a.dial().Read(make([]byte, 1)); err == nil {
		t.Error("a fourth connection is served")
	}
	open[0].Close()
	for range 200 { // the place is free once the broker noticed
		c := a.dial()
		if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, &kmsg.ApiVersionsRequest{Version: 0}, 1)); err == nil {
			if _, err := kafka.ReadFrame(c, nil, 1<<20); err == nil {
				return
			}
		}
	}
	t.Error("no place became free")
}

// bigJoin is a JoinGroup of about size bytes.
func bigJoin(group string, size int) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version = 3
	req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = group, 30_000, 300_000, "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", make([]byte, size)
	req.Protocols = append(req.Protocols, p)
	return req
}

// Requests that wait, for others or for memory, hold none of what others need.
func TestWaitingRequestsHoldUpNoOther(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) {
		c.Kafka.MaxRequestBytes, c.Kafka.RequestMemoryBytes = 4<<20, 4<<20
		c.Groups.Members.InitialRebalanceDelay = time.Minute
	}
	a := w.start()
	for range 8 {
		if _, err := a.dial().Write(kmsg.NewRequestFormatter().AppendRequest(nil, bigJoin("g", 100<<10), 5)); err != nil {
			t.Fatal(err)
		}
	}
	c := a.dial()
	req := kmsg.NewPtrMetadataRequest()
	for range 2000 {
		name := "a topic that isn't there"
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	for range 5 {
		if n := len(a.ask(c, req).(*kmsg.MetadataResponse).Topics); n == 0 {
			t.Fatal("no topics")
		}
	}
	// Larger than what a connection may keep, and decoded larger than all there is.
	if code := a.ask(c, bigJoin("", 2<<20-200)).(*kmsg.JoinGroupResponse).ErrorCode; code != kerr.InvalidGroupID.Code {
		t.Errorf("code %d", code)
	}
}
