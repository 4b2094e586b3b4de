package broker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"testing"
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

func sealing(c net.Conn) net.Conn { return &sealed{Conn: c} }

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
		return &sealed{Conn: under}
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
