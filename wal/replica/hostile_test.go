package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/internal/workbound"
	"varve/wal"
)

// TestHostilePeersGetNothing: a caller that sends no valid hello, or one for another store or
// cluster, is refused and does no harm.
func TestHostilePeersGetNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		w := c.create(2)
		l := newLoad(t)
		l.store(w, 20)
		to := c.all[1].id()
		good := hello{cluster: "test", purpose: purposeStream, journal: w.ID(), from: id.NewStore(nil), incarnation: w.ID().Writer, to: to}
		with := func(change func(*hello)) []byte {
			h := good
			change(&h)
			return h.encode()
		}
		for what, b := range map[string][]byte{
			"another cluster":             with(func(h *hello) { h.cluster = "other" }),
			"another store":               with(func(h *hello) { h.to = id.NewStore(nil) }),
			"a journal not joined":        with(func(h *hello) { h.journal.Seq = 9 }),
			"somebody's journal":          with(func(h *hello) { h.incarnation++ }),
			"no purpose":                  with(func(h *hello) { h.purpose = 9 }),
			"another version":             append([]byte{9, 9}, good.encode()[2:]...),
			"a hello that was cut":        good.encode()[:20],
			"a hello with a tail":         append(good.encode(), 0),
			"a cluster of a lengthy name": append([]byte{1, 0}, binary.AppendUvarint(nil, 1<<40)...),
		} {
			raw, err := c.net.dial(t.Context(), "evil", "agent-1")
			if err != nil {
				t.Fatal(err)
			}
			peer := newConn(raw, c.all[0].node.endpoint.metrics)
			if err := peer.send(kindHello, b); err != nil {
				t.Fatal(err)
			}
			answer, err := peer.expect(kindHello, time.Minute)
			if err == nil {
				got, err := decodeWelcome(answer)
				if err != nil || got.err == nil {
					t.Errorf("%s: welcome %+v, %v", what, got, err)
				}
				_, err = peer.next(time.Minute)
				if err == nil {
					t.Errorf("%s: the connection stays", what)
				}
			} else if !ended(err) {
				t.Errorf("%s: %v", what, err)
			}
			peer.Close()
		}
		for _, garbage := range [][]byte{make([]byte, 100), bytes.Repeat([]byte{0xff}, 100), []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n.........................")} {
			raw, err := c.net.dial(t.Context(), "evil", "agent-1")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = raw.Write(garbage) // it may be closed before all of it is read
			if _, err := raw.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("garbage was answered: %v", err)
			}
			raw.Close()
		}
		slow, err := c.net.dial(t.Context(), "evil", "agent-1")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := slow.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) > 2*c.rep.Silence {
			t.Errorf("who says nothing is kept: %v after %v", err, time.Since(began))
		}
		slow.Close()
		l.store(w, 20)
		l.check()
	})
}

// TestBadEntriesEndTheStream: a stream that breaks the protocol is closed, and nothing that it
// sent is stored.
func TestBadEntriesEndTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		a := c.all[0]
		j := id.Journal{Writer: a.inc, Seq: 1}
		for what, put := range map[string]func(*conn) error{
			"zeroes":     func(p *conn) error { return p.send(kindEntries, make([]byte, 4096)) },
			"unaligned":  func(p *conn) error { return p.send(kindEntries, make([]byte, 4095)) },
			"empty":      func(p *conn) error { return p.send(kindEntries, nil) },
			"too large":  func(p *conn) error { return p.send(kindEntries, make([]byte, c.cfg.FileBytes+4096)) },
			"a request":  func(p *conn) error { return p.send(kindRequest, (&request{verb: verbPing}).encode()) },
			"a bad trim": func(p *conn) error { return p.send(kindTrim, []byte{1, 2, 3}) },
			"a bad skip": func(p *conn) error { return p.send(kindSkip, []byte{1, 2, 3}) },
			"a skip into a file": func(p *conn) error {
				return p.send(kindSkip, append(u64(9), u64(uint64(fileStart(3)+4096))...))
			},
			"a skipped frame": func(p *conn) error {
				p.sent++
				return p.send(kindBeat, nil)
			},
		} {
			if err := c.all[1].store.Join(j, wal.Membership{FileBytes: c.cfg.FileBytes}); err != nil {
				t.Fatal(err)
			}
			p, _, err := a.node.endpoint.connect(t.Context(), c.all[1].id(), purposeStream, j)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_ = put(p) // it may be closed before all of it is read
			for err = nil; err == nil; {
				_, _, err = p.control(time.Minute)
			}
			if took := time.Since(began); took > c.rep.Silence/2 {
				t.Errorf("%s: closed after %v", what, took)
			}
			p.Close()
			if last, err := c.all[1].store.Last(j); err != nil || last != 0 {
				t.Errorf("%s: holds %d, %v", what, last, err)
			}
		}
	})
}

// TestRequestsAreBounded: a request for too much, or of an unknown kind, is an error.
func TestRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		n, to := c.all[0].node, c.all[1].id()
		j := id.Journal{Writer: 7, Seq: 1}
		for _, q := range []*request{
			{verb: verbRead, journal: j, n: 1 << 31},
			{verb: verbJoin, journal: j, a: 1 << 40},
			{verb: verbJoin, journal: j},
			{verb: verbFence, journal: j, a: 1},
			{verb: verbSeal, journal: j, a: 1},
			{verb: verbLast, journal: j},
			{verb: verbEntries, journal: j, n: 1 << 31},
			{verb: verbDirectories, journal: j},
			{verb: verbPut, journal: j, a: 3, rest: make([]byte, 4096)},
			{verb: verbPut, journal: j, rest: make([]byte, 4096)},
			{verb: verbFirst, journal: j},
			{verb: verbSkip, journal: j, a: 3, b: 1 << 63, n: 1 << 31},
			{verb: verbGive, n: 1 << 31, rest: make([]byte, 4096)},
			{verb: verbGive, n: 1, rest: make([]byte, MaxTold+1)},
		} {
			if b, err := n.call(t.Context(), to, q); err == nil {
				t.Errorf("verb %d gave %d bytes", q.verb, len(b))
			}
		}
		if err := n.Join(t.Context(), to, j, wal.Membership{FileBytes: c.cfg.FileBytes}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.call(t.Context(), to, &request{verb: verbPut, journal: j, rest: make([]byte, 4096)}); !errors.Is(err, wal.ErrFenced) {
			t.Errorf("a copy without an epoch: %v", err)
		}
		if got, err := n.Ping(t.Context(), to); err != nil || got != c.all[1].inc {
			t.Errorf("afterwards: %v, %v", got, err)
		}
	})
}

// oneConn is a connection with all of its input, and no peer.
type oneConn struct {
	net.Conn
	r io.Reader
}

func (o oneConn) Read(p []byte) (int, error)      { return o.r.Read(p) }
func (o oneConn) SetReadDeadline(time.Time) error { return nil }

func FuzzFrames(f *testing.F) {
	h := hello{cluster: "c", purpose: purposeStream, journal: id.Journal{Writer: 1, Seq: 1}}
	w := welcome{err: wal.ErrFenced, durable: 3}
	q := request{verb: verbRead, journal: id.Journal{Writer: 1, Seq: 1}, n: 9}
	m := newMetrics(nil)
	g := request{verb: verbGive, n: 1, rest: []byte("a body")}
	for k, b := range map[kind][]byte{kindHello: h.encode(), kindAck: w.encode(), kindRequest: q.encode(), kindPut: g.encode(), kindBeat: nil, kindAnswer: appendError(nil, wal.ErrGone)} {
		var buf bytes.Buffer
		c := newConn(writeConn{&buf}, m)
		if err := c.send(k, b); err != nil {
			f.Fatal(err)
		}
		f.Add(buf.Bytes(), b)
	}
	f.Fuzz(func(t *testing.T, frames, payload []byte) {
		workbound.Check(t, len(frames)+len(payload), func() { decodeAll(t, m, frames, payload) })
	})
}

// decodeAll decodes what a peer may send, as frames and as the payload of each kind.
func decodeAll(t *testing.T, m *metrics, frames, payload []byte) {
	c := newConn(oneConn{r: bytes.NewReader(frames)}, m)
	for {
		if _, _, err := c.control(0); err != nil {
			break
		}
	}
	if h, err := decodeHello(payload); err == nil {
		if again, err := decodeHello(h.encode()); err != nil || again != h {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
	}
	_, _ = decodeWelcome(payload)
	_, _ = decodeMembership(payload)
	for _, k := range []kind{kindRequest, kindPut} {
		if q, err := decodeRequest(k, payload); err == nil && !bytes.Equal(q.encode(), payload) {
			t.Errorf("%+v is not what was sent", q)
		}
	}
	_ = wal.ParseDirectories(payload, func(*wal.Entry) error { return nil })
}

type writeConn struct{ w io.Writer }

func (w writeConn) Write(p []byte) (int, error)      { return w.w.Write(p) }
func (w writeConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (w writeConn) Close() error                     { return nil }
func (w writeConn) LocalAddr() net.Addr              { return nil }
func (w writeConn) RemoteAddr() net.Addr             { return nil }
func (w writeConn) SetDeadline(time.Time) error      { return nil }
func (w writeConn) SetReadDeadline(time.Time) error  { return nil }
func (w writeConn) SetWriteDeadline(time.Time) error { return nil }
