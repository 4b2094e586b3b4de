package s3store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"varve/internal/testserver"
	"varve/s3store"
)

// TestTLSTrustsOnlyWhomItIsTold runs each S3 driver through a TLS front whose
// certificate no system trusts.
func TestTLSTrustsOnlyWhomItIsTold(t *testing.T) {
	server := testserver.MinIO(t)
	front := httptest.NewTLSServer(forwardTo(t, server))
	t.Cleanup(front.Close)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, driver := range []string{s3store.DriverAWS, s3store.DriverMinIO} {
		config := once(s3Config(t, server, driver, "bucket-"+driver))
		config.Endpoint = front.URL
		for name, c := range map[string]struct {
			tls     s3store.TLSConfig
			trusted bool
		}{
			"unknown authority": {s3store.TLSConfig{}, false},
			"ca file":           {s3store.TLSConfig{CAFile: caFile}, true},
			"skip verify":       {s3store.TLSConfig{InsecureSkipVerify: true}, true},
		} {
			config.TLS = c.tls
			err := open(t, config).Put(t.Context(), "k", strings.NewReader("v"))
			if c.trusted && err != nil || !c.trusted && (err == nil || !strings.Contains(err.Error(), "certificate")) {
				t.Errorf("%s, %s: %v", driver, name, err)
			}
		}
		config.TLS = s3store.TLSConfig{CAFile: caFile + ".absent"}
		if _, err := s3store.Open(t.Context(), config, quiet, nil); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s, no such file: %v", driver, err)
		}
		config.TLS.CAFile = filepath.Join(t.TempDir(), "empty")
		if err := os.WriteFile(config.TLS.CAFile, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s3store.Open(t.Context(), config, quiet, nil); err == nil || !strings.Contains(err.Error(), "no PEM certificate") {
			t.Errorf("%s, empty file: %v", driver, err)
		}
	}
}

// TestAuthoritiesAreReplaced: connections are made by the file of authorities as it is then. One that can't be used changes
// nothing.
func TestAuthoritiesAreReplaced(t *testing.T) {
	server := testserver.MinIO(t)
	front := httptest.NewTLSServer(forwardTo(t, server))
	t.Cleanup(front.Close)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(caFile, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	for _, driver := range []string{s3store.DriverAWS, s3store.DriverMinIO} {
		config := once(s3Config(t, server, driver, "bucket-"+driver))
		config.Endpoint = front.URL
		config.TLS.CAFile = caFile
		write(selfSigned(t)) // of another authority
		store := open(t, config)
		put := func() error {
			front.CloseClientConnections()
			for {
				err := store.Put(t.Context(), "k", strings.NewReader("v"))
				if err == nil || strings.Contains(err.Error(), "certificate") || t.Context().Err() != nil {
					return err
				} // a connection from before was just being closed
			}
		}
		if err := put(); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s, another authority: %v", driver, err)
		}
		write(ca(front.Certificate().Raw))
		if err := put(); err != nil {
			t.Errorf("%s, the authority: %v", driver, err)
		}
		write([]byte("half"))
		if err := put(); err != nil {
			t.Errorf("%s, a file that can't be used: %v", driver, err)
		}
	}
}

// selfSigned returns a certificate in PEM.
func selfSigned(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
