package broker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// selfSigned is a server's side of TLS.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, DynamicRecordSizingDisabled: true}
}

// tlsPair returns both ends of a connection after the handshake.
func tlsPair(t testing.TB, cfg *tls.Config, under func(net.Conn) net.Conn) (server, client *tls.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server, client = tls.Server(under(here), cfg), tls.Client(there, &tls.Config{InsecureSkipVerify: true})
	t.Cleanup(func() { here.Close(); there.Close() })
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return server, client
}

func sealing(c net.Conn) net.Conn { return newSealed(c, &tls.Config{}) }

// counted counts writes.
type counted struct {
	net.Conn
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

// Pieces of any sizes arrive whole and in order, in few system calls.
func TestPiecesAreSealed(t *testing.T) {
	var under *counted
	server, client := tlsPair(t, selfSigned(t), func(c net.Conn) net.Conn {
		under = &counted{Conn: c}
		return newSealed(under, &tls.Config{})
	})
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for _, sizes := range [][]int{{}, {0}, {1}, {recordBytes}, {recordBytes + 1}, {5, recordBytes, 5}, {1 << 20}, {200, 32 << 10, 120, 32 << 10, 1}, make([]int, 300), make([]int, 40)} {
		var pieces net.Buffers
		var want []byte
		for i, n := range sizes {
			if n == 0 && i > 0 {
				n = r.IntN(60_000 / len(sizes) * 10)
			}
			p := make([]byte, n)
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			pieces = append(pieces, p)
			want = append(want, p...)
		}
		got := make([]byte, len(want))
		read := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(client, got)
			read <- err
		}()
		before := under.writes
		if err := seal(server, pieces); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d pieces: %v", len(pieces), err)
		}
		if calls, most := under.writes-before, 1+len(want)/(3*recordBytes); calls > most {
			t.Errorf("%d bytes took %d calls, at most %d are needed", len(want), calls, most)
		}
	}
	// What TLS writes by itself isn't held back.
	if err := server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%d bytes after the end: %v", n, err)
	}
}

// BenchmarkSeal encrypts answers: many small ones, one fetch with records of 32 KiB, and one of
// a single large piece. The other end only takes the bytes off.
func BenchmarkSeal(b *testing.B) {
	for _, x := range []struct {
		name   string
		pieces []int
	}{{"small", repeat(64, 100)}, {"fetch", repeat(32, 120, 32<<10)}, {"large", repeat(1, 1<<20)}} {
		var pieces net.Buffers
		size := 0
		for _, n := range x.pieces {
			pieces = append(pieces, make([]byte, n))
			size += n
		}
		for _, how := range []string{"whole", "gathered", "each"} {
			b.Run(x.name+"/"+how, func(b *testing.B) {
				under := func(c net.Conn) net.Conn { return c }
				if how == "gathered" {
					under = sealing
				}
				server, client := tlsPair(b, selfSigned(b), under)
				go io.Copy(io.Discard, client.NetConn())
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if how == "each" {
						rest := append(net.Buffers(nil), pieces...)
						_, err = rest.WriteTo(server)
					} else {
						err = seal(server, pieces)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func repeat(n int, sizes ...int) (out []int) {
	for range n {
		out = append(out, sizes...)
	}
	return out
}

// BenchmarkOpen reads a large request, as a frame is read, over TLS.
func BenchmarkOpen(b *testing.B) {
	for _, how := range []string{"tls", "plain"} {
		b.Run(how, func(b *testing.B) {
			server, client := tlsPair(b, selfSigned(b), sealing)
			var from io.Reader = server
			var to io.Writer = client
			if how == "plain" {
				from, to = server.NetConn(), client.NetConn()
			}
			go func() {
				p := make([]byte, 1<<20)
				for {
					if _, err := to.Write(p); err != nil {
						return
					}
				}
			}()
			p := make([]byte, 1<<20)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.ReadFull(from, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// hoard is a client's connection that, from a write on, sends a message of the handshake which
// claims to be a large certificate, and counts how much of it the other side takes.
type hoard struct {
	net.Conn
	after int // writes
	taken atomic.Int64
}

func (h *hoard) Write(p []byte) (int, error) {
	if h.after--; h.after >= 0 {
		return h.Conn.Write(p)
	}
	const size = 262_000
	message := append([]byte{11, size >> 16, size >> 8 & 0xff, size & 0xff}, make([]byte, size)...)
	for len(message) > 0 {
		n := min(len(message), recordBytes)
		record := append([]byte{22, 3, 3, byte(n >> 8), byte(n & 0xff)}, message[:n]...)
		n, err := h.Conn.Write(record)
		h.taken.Add(int64(n))
		if err != nil {
			return 0, err
		}
		message = message[min(len(message), recordBytes):]
	}
	return len(p), nil
}

// What a stranger has a connection keep of a handshake is bounded, whatever size its messages claim.
func TestHandshakesAreBounded(t *testing.T) {
	server := selfSigned(t)
	asks := server.Clone()
	asks.ClientAuth = tls.RequestClientCert
	for _, x := range []struct {
		cfg  *tls.Config
		most int64
	}{{server, withoutData}, {asks, withoutDataCertificate}} {
		withBouncer(t, nil, func(b *bouncer) {
			c := b.serve(&Listener{TLS: x.cfg, Mechanisms: []string{"PLAIN"}})
			h := &hoard{Conn: c.Conn, after: 1}
			_ = tls.Client(h, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}).Handshake()
			synctest.Wait()
			if taken, open := h.taken.Load(), b.Memory().Connections; taken > x.most || open != 0 {
				t.Errorf("%d bytes were taken, %d connections are open", taken, open)
			}
			if !strings.Contains(b.log.String(), errNoData.Error()) {
				t.Errorf("log:\n%s", b.log)
			}
		})
	}
}

// The bound holds after the handshake, too, and data isn't in its way.
func TestRecordsWithoutDataAreBounded(t *testing.T) {
	cfg := selfSigned(t)
	here, there := net.Pipe()
	defer here.Close()
	under := newSealed(there, cfg)
	server := tls.Server(under, cfg)
	client := tls.Client(here, anyServer)
	got := make(chan error, 1)
	const rest = 3
	go func() {
		if err := server.Handshake(); err != nil {
			got <- err
			return
		}
		under.more()
		_, err := io.CopyN(io.Discard, unsealed{server, under}, 4*withoutData)
		under.unread = rest // as if that much had come without data
		_, again := server.Read(make([]byte, 1))
		got <- errors.Join(err, again)
	}()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if _, err := client.Write(make([]byte, withoutData/2)); err != nil {
			t.Fatal(err)
		}
	}
	go client.Write([]byte("more than is left"))
	if err := <-got; !errors.Is(err, errNoData) || err.Error() != errNoData.Error() {
		t.Errorf("%v", err)
	}
}
