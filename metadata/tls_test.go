package metadata_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"varve/metadata"
)

// authority is a certificate authority of a test's.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	return a
}

// file is where a certificate or key is.
func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue writes name.pem and name.key, signed by the authority, or by itself.
func (a *authority) issue(t *testing.T, name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", "CERTIFICATE", der)
	a.write(t, name+".key", "EC PRIVATE KEY", keyDER)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secureEtcd runs an etcd that asks clients for certificates of the authority,
// and returns its URL.
func secureEtcd(t *testing.T, a *authority) string {
	t.Helper()
	c := embed.NewConfig()
	c.Dir = filepath.Join(t.TempDir(), "etcd")
	client := url.URL{Scheme: "https", Host: "127.0.0.1:0"}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(a.dir, "peer.sock")}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.Name + "=" + peer.String()
	c.TickMs, c.ElectionMs = 20, 100
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	c.ClientTLSInfo = transport.TLSInfo{CertFile: a.file("server.pem"), KeyFile: a.file("server.key"),
		ClientCertAuth: true, TrustedCAFile: a.file("ca.pem")}
	e, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return "https://" + e.Clients[0].Addr().String()
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "ca"), newAuthority(t, "ca")
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	ca.issue(t, "server", &x509.Certificate{DNSNames: []string{"etcd.test"}, IPAddresses: []net.IP{{127, 0, 0, 1}}, ExtKeyUsage: both})
	ca.issue(t, "client", &x509.Certificate{ExtKeyUsage: both})
	other.issue(t, "client", &x509.Certificate{ExtKeyUsage: both})
	good := metadata.DefaultConfig()
	good.Endpoints = []string{secureEtcd(t, ca)}
	good.DialTimeout = time.Second
	good.TLS = metadata.TLSConfig{CAFile: ca.file("ca.pem"), CertFile: ca.file("client.pem"), KeyFile: ca.file("client.key")}
	for _, c := range []struct {
		name   string
		change func(*metadata.TLSConfig)
		works  bool
	}{
		{"mutual", func(*metadata.TLSConfig) {}, true},
		{"server name", func(c *metadata.TLSConfig) { c.ServerName = "etcd.test" }, true},
		{"wrong server name", func(c *metadata.TLSConfig) { c.ServerName = "other.test" }, false},
		{"other authority", func(c *metadata.TLSConfig) { c.CAFile = other.file("ca.pem") }, false},
		{"other authority, unchecked", func(c *metadata.TLSConfig) { c.CAFile, c.InsecureSkipVerify = other.file("ca.pem"), true }, true},
		{"no client certificate", func(c *metadata.TLSConfig) { c.CertFile, c.KeyFile = "", "" }, false},
		{"strange client certificate", func(c *metadata.TLSConfig) {
			c.CertFile, c.KeyFile = other.file("client.pem"), other.file("client.key")
		}, false},
	} {
		cfg := good
		c.change(&cfg.TLS)
		s, err := metadata.Open(t.Context(), cfg, quiet, nil)
		if c.works != (err == nil) || !c.works && !errors.Is(err, metadata.ErrUnavailable) {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err == nil {
			put(t, s, "x", c.name)
			closeAll(t, s)
		}
	}
	for _, change := range []func(*metadata.TLSConfig){
		func(c *metadata.TLSConfig) { c.CAFile = ca.file("absent.pem") },
		func(c *metadata.TLSConfig) { c.CAFile = ca.file("ca.key") },
		func(c *metadata.TLSConfig) { c.KeyFile = other.file("client.key") },
	} {
		cfg := good
		change(&cfg.TLS)
		if _, err := metadata.Open(t.Context(), cfg, quiet, nil); err == nil {
			t.Fatalf("opened with %+v", cfg.TLS)
		}
	}
}

// cutter passes connections on to an address, until they are cut.
type cutter struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l}
	t.Cleanup(func() { l.Close(); c.cut() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			on, err := net.Dial("tcp", to)
			if err != nil {
				from.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, from, on)
			c.mu.Unlock()
			go func() { _, _ = io.Copy(on, from); on.Close() }()
			go func() { _, _ = io.Copy(from, on); from.Close() }()
		}
	}()
	return c
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// TestTLSFilesAreReplaced: a connection is made with the files as they are then, so an etcd that goes from one
// authority to another needs no agent that starts again. Files that can't be used change nothing.
func TestTLSFilesAreReplaced(t *testing.T) {
	t.Parallel()
	ca, next := newAuthority(t, "ca"), newAuthority(t, "ca")
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	server := func(a *authority) {
		a.issue(t, "server", &x509.Certificate{IPAddresses: []net.IP{{127, 0, 0, 1}}, ExtKeyUsage: both})
	}
	server(ca)
	server(next)
	ca.issue(t, "client", &x509.Certificate{ExtKeyUsage: both})
	copied := func(from *authority, name string, to string) {
		t.Helper()
		b, err := os.ReadFile(from.file(name))
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	at, err := url.Parse(secureEtcd(t, ca))
	if err != nil {
		t.Fatal(err)
	}
	way := newCutter(t, at.Host)
	cfg := metadata.DefaultConfig()
	cfg.Endpoints = []string{"https://" + way.Addr().String()}
	trusted := filepath.Join(t.TempDir(), "trusted.pem")
	copied(ca, "ca.pem", trusted)
	cfg.TLS = metadata.TLSConfig{CAFile: trusted, CertFile: ca.file("client.pem"), KeyFile: ca.file("client.key")}
	s, err := metadata.Open(t.Context(), cfg, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, s)
	put(t, s, "x", "1")
	if err := os.WriteFile(trusted, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	way.cut()
	eventually(t, s, "2") // with the authority from before
	copied(next, "ca.pem", trusted)
	copied(next, "server.pem", ca.file("server.pem")) // etcd reads them for each connection
	copied(next, "server.key", ca.file("server.key"))
	way.cut()
	eventually(t, s, "3")
}

// eventually writes x.
func eventually(t *testing.T, s metadata.Store, value string) {
	t.Helper()
	for late := time.After(time.Minute); ; {
		_, err := s.Txn(t.Context(), nil, metadata.Put("x", []byte(value)))
		if err == nil {
			return
		}
		select {
		case <-late:
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
