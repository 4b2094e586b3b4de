package broker

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/internal/id"
	"varve/kafka"
)

// The response is encoded here and not by kmsg, so that records go to the socket
// from where they are. Versions 4 to 18; 12 and above are flexible.

// pieces is a frame in the making: bytes of its own between borrowed ones.
type pieces struct {
	out      [][]byte
	cur      []byte
	size     int
	flexible bool
}

func (p *pieces) i16(v int16) { p.cur = binary.BigEndian.AppendUint16(p.cur, uint16(v)) }
func (p *pieces) i32(v int32) { p.cur = binary.BigEndian.AppendUint32(p.cur, uint32(v)) }
func (p *pieces) i64(v int64) { p.cur = binary.BigEndian.AppendUint64(p.cur, uint64(v)) }

func (p *pieces) length(n int) {
	if p.flexible {
		p.cur = binary.AppendUvarint(p.cur, uint64(n+1))
	} else {
		p.i32(int32(n))
	}
}

func (p *pieces) str(s string) {
	if p.flexible {
		p.cur = binary.AppendUvarint(p.cur, uint64(len(s)+1))
	} else {
		p.i16(int16(len(s)))
	}
	p.cur = append(p.cur, s...)
}

func (p *pieces) tags(n int) {
	if p.flexible {
		p.cur = append(p.cur, byte(n))
	}
}

// borrow puts pieces in that belong to someone else.
func (p *pieces) borrow(bs [][]byte) {
	if len(bs) == 0 {
		return
	}
	p.size += len(p.cur)
	p.out = append(p.out, p.cur)
	p.cur = make([]byte, 0, 128)
	for _, b := range bs {
		p.out = append(p.out, b)
		p.size += len(b)
	}
}

// frame ends the frame and writes its length in front.
func (p *pieces) frame() [][]byte {
	p.size += len(p.cur)
	p.out = append(p.out, p.cur)
	binary.BigEndian.PutUint32(p.out[0], uint32(p.size-4))
	return p.out
}

func (call *fetchCall) begin(code int16, session int32) *pieces {
	v := call.req.Version
	p := &pieces{flexible: v >= 12}
	p.cur = kafka.AppendResponseHeader(make([]byte, 0, 256), call.r.CorrelationID, p.flexible)
	p.i32(int32(call.pause.Milliseconds()))
	if v >= 7 {
		p.i16(code)
		p.i32(session)
	}
	return p
}

func (call *fetchCall) encodeError(code *kerr.Error) [][]byte {
	p := call.begin(code.Code, 0)
	p.length(0)
	p.tags(0)
	return p.frame()
}

// encodeNothing makes the answer of a client that has to wait (KIP-219). A session that would
// begin with it doesn't.
func (call *fetchCall) encodeNothing() [][]byte {
	call.releaseAll()
	var session int32
	switch {
	case call.session == nil:
	case call.req.SessionEpoch == 0:
		call.api.sessions.drop(call.r.caller.principal, call.session.id)
	default:
		session = call.session.id
	}
	p := call.begin(0, session)
	p.length(0)
	p.tags(0)
	return p.frame()
}

// encode makes the answer; of an incremental session only what has news.
func (call *fetchCall) encode() [][]byte {
	var session int32
	if call.session != nil {
		session = call.session.id
	}
	p := call.begin(0, session)
	topics := call.news()
	p.length(len(topics))
	for _, parts := range topics {
		if call.req.Version >= 13 {
			p.cur = append(p.cur, parts[0].want.topic[:]...)
		} else {
			p.str(parts[0].want.name)
		}
		p.length(len(parts))
		for _, fp := range parts {
			call.encodePart(p, fp)
		}
		p.tags(0)
	}
	call.encodeEndpoints(p)
	return p.frame()
}

// news groups, by topic and in order, the partitions that the answer names.
func (call *fetchCall) news() [][]*fetchPart {
	var topics [][]*fetchPart
	for _, fp := range call.parts {
		if call.session != nil && !call.session.told(fp) {
			continue
		}
		n := len(topics)
		if n == 0 || topics[n-1][0].want.topic != fp.want.topic || topics[n-1][0].want.name != fp.want.name {
			topics = append(topics, nil)
			n++
		}
		topics[n-1] = append(topics[n-1], fp)
	}
	return topics
}

func (call *fetchCall) encodePart(p *pieces, fp *fetchPart) {
	v, m := call.req.Version, call.api.metrics
	var code int16
	high, stable, start := fp.state.High, fp.state.LastStable, fp.state.LogStart
	if fp.err != nil {
		k := codeOf(fp.err)
		code = k.Code
		m.errors.WithLabelValues("Fetch", k.Message).Inc()
		if fp.p == nil {
			high, stable, start = -1, -1, -1
		}
	}
	p.i32(fp.want.partition)
	p.i16(code)
	p.i64(high)
	p.i64(stable)
	if v >= 5 {
		p.i64(start)
	}
	if call.req.IsolationLevel == readCommitted {
		p.length(0) // no aborted transactions
	} else {
		p.length(-1)
	}
	if v >= 11 {
		p.i32(-1) // no preferred read replica
	}
	p.length(fp.data.Bytes)
	p.borrow(fp.data.Pieces)
	if n := fp.data.Bytes; n > 0 {
		fp.p.Fetched(int64(n), kafka.CountRecords(fp.data.Pieces))
	}
	if fp.data.Tier {
		m.fetchedTier.Add(float64(fp.data.Bytes))
	} else {
		m.fetchedLocal.Add(float64(fp.data.Bytes))
	}
	call.encodeLeader(p, fp, code)
}

// encodeLeader ends a partition, naming the present leader where the client
// asked the wrong one (KIP-951): tag 1, {id int32, epoch int32}.
func (call *fetchCall) encodeLeader(p *pieces, fp *fetchPart, code int16) {
	wrong := code == kerr.NotLeaderForPartition.Code || code == kerr.FencedLeaderEpoch.Code
	if call.req.Version < 16 || !wrong || fp.topic == nil {
		p.tags(0)
		return
	}
	at := id.Partition{Topic: fp.topic.ID, Index: fp.want.partition}
	o, ok := call.api.directory.otherOwner(at)
	if code == kerr.FencedLeaderEpoch.Code {
		o, ok = call.api.view.Owner(at)
	}
	if !ok {
		p.tags(0)
		return
	}
	p.tags(1)
	p.cur = append(p.cur, 1, 9)
	p.i32(int32(o.Broker))
	p.i32(int32(o.Epoch))
	p.tags(0)
}

// encodeEndpoints ends the answer with where the named leaders are: tag 0, an
// array of {id int32, host string, port int32, rack nullable string}.
func (call *fetchCall) encodeEndpoints(p *pieces) {
	if call.req.Version < 16 || !call.anyWrongLeader() {
		p.tags(0)
		return
	}
	in := &pieces{flexible: true}
	agents := call.api.view.Agents()
	in.length(len(agents))
	for _, a := range agents {
		host, port, rack, _ := call.api.directory.endpoint(call.r.caller, a.Broker)
		in.i32(int32(a.Broker))
		in.str(host)
		in.i32(port)
		if rack == nil {
			in.cur = append(in.cur, 0)
		} else {
			in.str(*rack)
		}
		in.tags(0)
	}
	p.tags(1)
	p.cur = append(p.cur, 0)
	p.cur = binary.AppendUvarint(p.cur, uint64(len(in.cur)))
	p.cur = append(p.cur, in.cur...)
}

func (call *fetchCall) anyWrongLeader() bool {
	for _, fp := range call.parts {
		if fp.err == nil {
			continue
		}
		if k := codeOf(fp.err); k == kerr.NotLeaderForPartition || k == kerr.FencedLeaderEpoch {
			return true
		}
	}
	return false
}
