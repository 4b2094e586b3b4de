package tlsfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"varve/internal/vfs"
)

// issue makes a certificate that signs itself, and its key.
func issue(t testing.TB, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour).Truncate(time.Second),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs})
}

type files struct {
	t   testing.TB
	dir string
}

func (f files) write(name string, content []byte, mode os.FileMode) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, content, mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// shown returns the name in the certificate that a server shows.
func shown(t testing.TB, s *Server) string {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go func() { _ = tls.Server(there, s.Config()).Handshake() }()
	c := tls.Client(here, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// Files that are replaced are used from the next connection on; while they are broken, the last
// good ones are, and each breakage is reported once.
func TestReplacedFilesAreUsed(t *testing.T) {
	f := files{t, t.TempDir()}
	cert, key := issue(t, "one")
	at := ServerFiles{Cert: f.write("cert", cert, 0o644), Key: f.write("key", key, 0o640), MinVersion: tls.VersionTLS12}
	s, err := OpenServer(vfs.OS{}, at)
	if err != nil {
		t.Fatal(err)
	}
	old := s.Config() // of a connection that is made just now
	if changed, err := s.Refresh(); changed || err != nil {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	if name := shown(t, s); name != "one" {
		t.Error(name)
	}
	cert2, key2 := issue(t, "two")
	f.write("cert", cert2, 0o644) // without its key yet
	for i := range 3 {
		if changed, err := s.Refresh(); changed || (err != nil) != (i == 0) {
			t.Errorf("look %d at a certificate without its key: %v, %v", i, changed, err)
		}
	}
	if name := shown(t, s); name != "one" {
		t.Error(name)
	}
	f.write("key", key2, 0o600)
	if changed, err := s.Refresh(); !changed || err != nil {
		t.Errorf("new files: %v, %v", changed, err)
	}
	if name := shown(t, s); name != "two" {
		t.Error(name)
	}
	if c, err := old.GetConfigForClient(nil); err != nil || len(c.Certificates) != 1 || string(c.Certificates[0].Leaf.Subject.CommonName) != "two" {
		t.Errorf("a handshake that begins now: %v", err)
	}
	if err := os.Remove(at.Cert); err != nil {
		t.Fatal(err)
	}
	if changed, err := s.Refresh(); changed || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, %v", changed, err)
	}
	f.write("cert", cert2, 0o644)
	if _, err := s.Refresh(); err != nil || shown(t, s) != "two" || time.Until(s.Expires()) <= 0 {
		t.Errorf("back again: %v", err)
	}
}

// A key that others can read is no secret.
func TestPublicKeysAreRefused(t *testing.T) {
	f := files{t, t.TempDir()}
	cert, key := issue(t, "one")
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o440: true, 0o644: false, 0o660: false, 0o604: false, 0o666: false, 0o602: false} {
		_ = os.Remove(filepath.Join(f.dir, "key"))
		_, err := OpenServer(vfs.OS{}, ServerFiles{Cert: f.write("cert", cert, 0o644), Key: f.write("key", key, mode)})
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrPublic) {
			t.Errorf("mode %o: %v", mode, err)
		}
		if _, err := OpenServer(vfs.Watch(vfs.OS{}), ServerFiles{Cert: filepath.Join(f.dir, "cert"), Key: filepath.Join(f.dir, "key")}); (err == nil) != ok {
			t.Errorf("watched, mode %o: %v", mode, err)
		}
	}
}

// Clients' certificates are asked for as configured.
func TestClientsAreAsked(t *testing.T) {
	f := files{t, t.TempDir()}
	cert, key := issue(t, "server")
	good, goodKey := issue(t, "good")
	bad, badKey := issue(t, "bad")
	pair := func(cert, key []byte) []tls.Certificate {
		p, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{p}
	}
	for _, c := range []struct {
		auth   tls.ClientAuthType
		client []tls.Certificate
		ok     bool
	}{
		{tls.NoClientCert, nil, true}, {tls.NoClientCert, pair(bad, badKey), true},
		{tls.VerifyClientCertIfGiven, nil, true}, {tls.VerifyClientCertIfGiven, pair(good, goodKey), true}, {tls.VerifyClientCertIfGiven, pair(bad, badKey), false},
		{tls.RequireAndVerifyClientCert, nil, false}, {tls.RequireAndVerifyClientCert, pair(good, goodKey), true}, {tls.RequireAndVerifyClientCert, pair(bad, badKey), false},
	} {
		s, err := OpenServer(vfs.OS{}, ServerFiles{Cert: f.write("cert", cert, 0o644), Key: f.write("key", key, 0o600), ClientCA: f.write("ca", good, 0o644), ClientAuth: c.auth, MinVersion: tls.VersionTLS13})
		if err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		result := make(chan error, 1)
		go func() {
			err := tls.Server(there, s.Config()).Handshake()
			there.Close()
			result <- err
		}()
		client := tls.Client(here, &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(c.client) == 0 {
				return new(tls.Certificate), nil
			}
			return &c.client[0], nil
		}})
		_ = client.Handshake()
		_, _ = io.Copy(io.Discard, client)
		if err := <-result; (err == nil) != c.ok {
			t.Errorf("%v with %d certificates: %v", c.auth, len(c.client), err)
		}
		here.Close()
	}
}

// A certificate that clients will refuse is told.
func TestMisfit(t *testing.T) {
	for _, c := range []struct {
		uses []x509.ExtKeyUsage
		host string
		says string
	}{
		{nil, "", ""},
		{nil, "a.example", ""},
		{nil, "b.example", "it is not for b.example"},
		{nil, "10.0.0.1", "it is not for 10.0.0.1"},
		{[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, "a.example", ""},
		{[]x509.ExtKeyUsage{x509.ExtKeyUsageAny}, "a.example", ""},
		{[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, "a.example", "it is not for servers"},
	} {
		s := &Server{}
		s.now.Store(&loaded{leaf: &x509.Certificate{DNSNames: []string{"a.example"}, ExtKeyUsage: c.uses}})
		if got := s.Misfit(c.host); got != c.says {
			t.Errorf("%v at %q: %q, want %q", c.uses, c.host, got, c.says)
		}
	}
}
