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

// TestStrangersAreRefused: a caller without a certificate, with one of another authority, or
// without TLS is refused, and that is logged. A server with the wrong certificate is refused.
func TestStrangersAreRefused(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	for name, x := range map[string]struct {
		dial func(context.Context, string) (net.Conn, error)
		says string
	}{
		"no certificate": {newTLS(nil, &tls.Config{RootCAs: ca.tls("127.0.0.1").now.Load().client.RootCAs}).Dial(plain), "client didn't provide a certificate"},
		"another authority's": {newTLS(nil, &tls.Config{RootCAs: ca.tls("127.0.0.1").now.Load().client.RootCAs, Certificates: other.tls("127.0.0.1").now.Load().client.Certificates,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &other.tls("127.0.0.1").now.Load().client.Certificates[0], nil
			}}).Dial(plain), "unknown authority"},
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

// TestCertificatesAreRenewed: after Take both sides show the new certificates and want
// those of the new authority; before it the old ones.
func TestCertificatesAreRenewed(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	server, client := before.tls("127.0.0.1"), before.tls("127.0.0.1")
	l, _ := secured(t, server)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	talk := func() error {
		c, err := client.Dial(plain)(t.Context(), l.Addr().String())
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
	if err := talk(); err != nil {
		t.Fatal(err)
	}
	client.Take(after.tls("127.0.0.1"))
	if talk() == nil {
		t.Error("a server of the old authority is believed")
	}
	server.Take(after.tls("127.0.0.1"))
	if err := talk(); err != nil {
		t.Error(err)
	}
}
