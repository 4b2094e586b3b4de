package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"varve/internal/testserver"
)

// authority is a certificate authority of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{cert: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "agents"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	var err error
	if a.key, a.pem, err = a.sign(a.cert); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a key and a certificate for it, valid around now. The authority's own is
// the first, which signs itself.
func (a *authority) sign(c *x509.Certificate) (key *ecdsa.PrivateKey, cert []byte, err error) {
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, signer)
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// issue writes into a directory what an agent on loopback needs.
func (a *authority) issue(dir string) error {
	key, cert, err := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "agent"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "ca.pem"), a.pem, 0o600), os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

// config is the end of the section 'peer' that names these files.
func (a *authority) config(dir string) string {
	return fmt.Sprintf("\n  tls:\n    ca_file: %[1]s/ca.pem\n    cert_file: %[1]s/cert.pem\n    key_file: %[1]s/key.pem", dir)
}

// TestAgentsOverTLS: three agents speak mutual TLS to each other; one is killed and
// replaced under load, and comes back. One with a certificate of another authority is let
// in by nobody, and both sides' logs say why.
func TestAgentsOverTLS(t *testing.T) {
	t.Parallel()
	c := &cluster{t: t, etcd: testserver.Etcds(t, 1), minio: testserver.MinIO(t), tls: newAuthority(t)}
	c.begin()
	l := newLedger(t, c.brokers(), "secret", 6)
	l.beginAt(300, 3000)
	f := l.follow("followers")
	l.awaitMore(3000)
	c.agents[1].kill()
	c.awaitReplaced(l.topic, c.agents[1])
	l.awaitMore(3000)
	c.agents[1].start()
	l.awaitMore(3000)
	l.end()
	c.ready()
	l.check()
	f.check()

	ours := c.agents
	c.tls = newAuthority(t)
	stranger := c.add()
	poll(t, 30*time.Second, "the stranger's log", func() error { return stranger.says("certificate") })
	poll(t, 30*time.Second, "the others' logs", func() error {
		var all []error
		for _, m := range ours {
			err := m.says("TLS handshake failed")
			if err == nil {
				return nil
			}
			all = append(all, err)
		}
		return errors.Join(all...)
	})
	if stranger.says("msg=serving") == nil {
		t.Error("the stranger serves")
	}
}

// says whether an agent has logged something.
func (m *member) says(text string) error {
	if !strings.Contains(m.log.String(), text) {
		return fmt.Errorf("agent %d does not say %q", m.id, text)
	}
	return nil
}
