package replica

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"varve/internal/vfs"
)

// authority is a certificate authority of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.pem, a.key = a.sign(a.cert, nil)
	return a
}

// sign makes a certificate that is valid now; without an issuer it is self-signed.
func (a *authority) sign(c *x509.Certificate, by *authority) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key
}

// files writes the certificate files of an agent at a host.
func (a *authority) files(host string, uses ...x509.ExtKeyUsage) (vfs.FS, TLSConfig) {
	a.t.Helper()
	if uses == nil {
		uses = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "an agent"}, ExtKeyUsage: uses}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{host}
	}
	cert, key := a.sign(c, a)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	fs := vfs.NewMemory()
	if err := fs.MkdirAll("tls"); err != nil {
		a.t.Fatal(err)
	}
	for name, b := range map[string][]byte{"ca.pem": a.pem, "cert.pem": cert, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := vfs.WriteFile(fs, "tls", name, b); err != nil {
			a.t.Fatal(err)
		}
	}
	return fs, TLSConfig{CAFile: "tls/ca.pem", CertFile: "tls/cert.pem", KeyFile: "tls/key.pem"}
}

func (a *authority) tls(host string, uses ...x509.ExtKeyUsage) *TLS {
	a.t.Helper()
	fs, cfg := a.files(host, uses...)
	t, err := cfg.Load(fs)
	if err != nil {
		a.t.Fatal(err)
	}
	return t
}

// secured listens on loopback and dials, both with TLS.
func secured(t *testing.T, s *TLS) (net.Listener, func(context.Context, string) (net.Conn, error)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return s.Listener(l), s.Dial(plain)
}

func plain(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// logged keeps log lines.
type logged struct {
	mu    sync.Mutex
	b     bytes.Buffer
	wrote chan struct{} // has room for one
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.wrote <- struct{}{}:
	default:
	}
	return l.b.Write(p)
}

// await waits for a line with all the texts.
func (l *logged) await(t *testing.T, texts ...string) {
	t.Helper()
	for late := time.After(2 * time.Minute); ; {
		l.mu.Lock()
		all := l.b.String()
		l.mu.Unlock()
		for line := range strings.Lines(all) {
			if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
				return
			}
		}
		select {
		case <-l.wrote:
		case <-late:
			t.Fatalf("the log does not say %q:\n%s", texts, all)
		}
	}
}

// TestReplicationOverTLS: three agents with certificates of one authority replicate and
// recover as over plain connections.
func TestReplicationOverTLS(t *testing.T) {
	ca := newAuthority(t)
	c := newCluster(t, 0)
	c.real = func(string) (net.Listener, func(context.Context, string) (net.Conn, error)) {
		return secured(t, ca.tls("127.0.0.1"))
	}
	for range 3 {
		c.all = append(c.all, c.start("", vfs.NewMemory()))
	}
	w := c.create(2)
	l := newLoad(t)
	l.store(w, 300)
	l.check()
	a, from, to := c.all[1].node, c.all[1].id(), c.all[2].id()
	end, err := a.Fence(t.Context(), from, w.ID(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Fence(t.Context(), to, w.ID(), 7); err != nil {
		t.Fatal(err)
	}
	longer, shorter := from, to
	if n, _ := a.Last(t.Context(), to, w.ID()); n > end {
		end, longer, shorter = n, to, from
	}
	if err := a.Copy(t.Context(), w.ID(), 7, longer, shorter, end); err != nil {
		t.Fatal(err)
	}
	for _, x := range c.all[1:] {
		if got := l.held(x, w.ID(), end, 0); got < 300 {
			t.Errorf("%s holds %d appends", x.addr, got)
		}
	}
	w.Close()
}

// dialWith dials servers of one authority with the certificate of another one, or without.
func dialWith(server, own *authority) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		cfg := server.tls("127.0.0.1").files.Client()
		cfg.Certificates, cfg.ServerName = nil, "127.0.0.1"
		if own != nil {
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &own.tls("127.0.0.1").files.Client().Certificates[0], nil
			}
		}
		var d tls.Dialer
		d.Config = cfg
		return d.DialContext(ctx, "tcp", addr)
	}
}

// TestStrangersAreRefused: a caller without a certificate, with one of another authority, or
// without TLS is refused, and that is logged. A server with the wrong certificate is refused.
func TestStrangersAreRefused(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	for name, x := range map[string]struct {
		dial func(context.Context, string) (net.Conn, error)
		says string
	}{
		"no certificate":       {dialWith(ca, nil), "client didn't provide a certificate"},
		"another authority's":  {dialWith(ca, other), "unknown authority"},
		"a client's":           {ca.tls("127.0.0.1", x509.ExtKeyUsageClientAuth).Dial(plain), "the certificate is for clients only"},
		"no uses":              {ca.tls("127.0.0.1", []x509.ExtKeyUsage{}...).Dial(plain), ""},
		"no TLS":               {plain, "does not look like a TLS handshake"},
		"wants another's":      {other.tls("127.0.0.1").Dial(plain), "bad certificate"},
		"silence after TCP":    {nil, "deadline exceeded"},
		"a certificate it has": {ca.tls("10.0.0.1").Dial(plain), ""},
	} {
		t.Run(name, func(t *testing.T) {
			out := &logged{wrote: make(chan struct{}, 1)}
			c := newCluster(t, 0)
			c.log = slog.NewTextHandler(out, nil)
			c.rep.Silence = 500 * time.Millisecond
			c.real = func(string) (net.Listener, func(context.Context, string) (net.Conn, error)) {
				return secured(t, ca.tls("127.0.0.1"))
			}
			one := c.start("", vfs.NewMemory())
			c.all = append(c.all, one)
			c.real = func(string) (net.Listener, func(context.Context, string) (net.Conn, error)) {
				l, _ := secured(t, ca.tls("127.0.0.1"))
				return l, x.dial
			}
			if x.dial == nil {
				raw, err := plain(t.Context(), one.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer raw.Close()
				if n, err := raw.Read(make([]byte, 1)); n > 0 || err != io.EOF {
					t.Errorf("read %d bytes, %v", n, err)
				}
			} else {
				two := c.start("", vfs.NewMemory())
				c.all = append(c.all, two)
				got, err := two.node.Ping(t.Context(), one.id())
				if x.says == "" {
					if err != nil || got != one.inc {
						t.Errorf("%v, %v", got, err)
					}
					return
				}
				if err == nil {
					t.Error("it was let in")
				}
			}
			out.await(t, "level=WARN", "TLS handshake failed", x.says)
		})
	}
}

// TestServersAreChecked: a caller refuses a server whose certificate is of another authority or
// for another host, and says which.
func TestServersAreChecked(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	for name, x := range map[string]struct {
		server *TLS
		says   string
	}{
		"another authority": {other.tls("127.0.0.1"), "unknown authority"},
		"another host":      {ca.tls("10.0.0.1"), "not 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 0)
			for _, s := range []*TLS{ca.tls("127.0.0.1"), x.server} {
				c.real = func(string) (net.Listener, func(context.Context, string) (net.Conn, error)) { return secured(t, s) }
				c.all = append(c.all, c.start("", vfs.NewMemory()))
			}
			if _, err := c.all[0].node.Ping(t.Context(), c.all[1].id()); err == nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestTLSFiles: an error names the file that is missing or wrong.
func TestTLSFiles(t *testing.T) {
	fs, good := newAuthority(t).files("h")
	if err := (TLSConfig{}).Validate(); err != nil || good.Validate() != nil || (TLSConfig{}).On() {
		t.Errorf("%v, %v", err, good.Validate())
	}
	for name, change := range map[string]func(*TLSConfig){
		"peer.tls.ca_file":   func(c *TLSConfig) { c.CAFile = "" },
		"peer.tls.cert_file": func(c *TLSConfig) { c.CertFile = "" },
		"peer.tls.key_file":  func(c *TLSConfig) { c.KeyFile = "" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*TLSConfig){
		"tls/absent":            func(c *TLSConfig) { c.CAFile = "tls/absent" },
		"no PEM certificate":    func(c *TLSConfig) { c.CAFile = c.KeyFile },
		"tls/key.pem and tls/c": func(c *TLSConfig) { c.CertFile, c.KeyFile = c.KeyFile, c.CertFile },
	} {
		c := good
		change(&c)
		if _, err := c.Load(fs); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCertificatesAreRenewed: files that are read again are used by both sides, as server and as client; before it
// the old ones are.
func TestCertificatesAreRenewed(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	serverFiles, cfg := before.files("127.0.0.1")
	clientFiles, _ := before.files("127.0.0.1")
	replace := func(s *TLS, fs vfs.FS) {
		t.Helper()
		fresh, _ := after.files("127.0.0.1")
		for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
			b, err := vfs.ReadFile(fresh, "tls/"+name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if err := vfs.WriteFile(fs, "tls", name, b); err != nil {
				t.Fatal(err)
			}
		}
		if changed, err := s.Files().Refresh(); !changed || err != nil {
			t.Fatal(changed, err)
		}
	}
	server, err := cfg.Load(serverFiles)
	if err != nil {
		t.Fatal(err)
	}
	client, err := cfg.Load(clientFiles)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := secured(t, server)
	defer l.Close()
	echo(l)
	talk := func() error { return exchange(t, client.Dial(plain), l) }
	if err := talk(); err != nil {
		t.Fatal(err)
	}
	replace(client, clientFiles)
	if talk() == nil {
		t.Error("a server of the old authority is believed")
	}
	replace(server, serverFiles)
	if err := talk(); err != nil {
		t.Error(err)
	}
}

// echo answers connections with what they send.
func echo(l net.Listener) {
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if h, ok := c.(interface{ HandshakeContext(context.Context) error }); ok && h.HandshakeContext(context.Background()) != nil {
					return
				}
				_, _ = io.Copy(c, c)
			}()
		}
	}()
}

// exchange sends a byte and awaits it.
func exchange(t *testing.T, dial func(context.Context, string) (net.Conn, error), l net.Listener) error {
	c, err := dial(t.Context(), l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

// TestTLSIsIntroduced: agents whose TLS is optional understand those without and those that
// insist on it, both ways. With them they use it.
func TestTLSIsIntroduced(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	optional := ca.tls("127.0.0.1")
	optional.optional = true
	mistaken := other.tls("127.0.0.1") // optional, of another authority
	mistaken.optional = true
	kinds := map[string]*TLS{"plain": nil, "optional": optional, "strict": ca.tls("127.0.0.1"), "mistaken": mistaken}
	for _, x := range []struct {
		from, to string
		talk     bool
	}{
		{"plain", "plain", true}, {"plain", "optional", true}, {"plain", "strict", false},
		{"optional", "plain", true}, {"optional", "optional", true}, {"optional", "strict", true},
		{"strict", "plain", false}, {"strict", "optional", true}, {"strict", "strict", true},
		{"mistaken", "optional", false}, {"mistaken", "strict", false},
	} {
		t.Run(x.from+" to "+x.to, func(t *testing.T) {
			c := newCluster(t, 0)
			c.rep.Silence = 2 * time.Second
			for _, s := range []*TLS{kinds[x.to], kinds[x.from]} {
				c.real = func(string) (net.Listener, func(context.Context, string) (net.Conn, error)) {
					if s != nil {
						return secured(t, s)
					}
					l, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					return l, plain
				}
				c.all = append(c.all, c.start("", vfs.NewMemory()))
			}
			if got, err := c.all[1].node.Ping(t.Context(), c.all[0].id()); (err == nil) != x.talk || err == nil && got != c.all[0].inc {
				t.Errorf("%v, %v", got, err)
			}
			// The side whose TLS is optional counts connections without it.
			for i, kind := range []string{x.to, x.from} {
				other := []string{x.from, x.to}[i]
				want := 0.0
				if kind == "optional" && other == "plain" {
					want = 1
				}
				if n := testutil.ToFloat64(c.all[i].node.endpoint.metrics.plain); n != want {
					t.Errorf("the %s one counts %v plain connections, want %v", kind, n, want)
				}
			}
		})
	}
}

// TestOptionalTLSIsUsed: two agents whose TLS is optional use it.
func TestOptionalTLSIsUsed(t *testing.T) {
	s := newAuthority(t).tls("127.0.0.1")
	s.optional = true
	l, dial := secured(t, s)
	defer l.Close()
	echo(l)
	c, err := dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*tls.Conn); !ok {
		t.Errorf("a connection of %T", c)
	}
}
