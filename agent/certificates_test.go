package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/vfs"
)

// certify writes a certificate that signs itself, and its key.
func certify(t *testing.T, dir string, until time.Time) ListenerTLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	l := ListenerTLS{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	for name, b := range map[string]*pem.Block{l.CertFile: {Type: "CERTIFICATE", Bytes: der}, l.KeyFile: {Type: "PRIVATE KEY", Bytes: pkcs}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// The log warns of a certificate that expires once a day, from 30 days before on, and again after
// it has expired; of a broken file once. The metric tells all the time.
func TestExpiryIsWarnedOfOnceADay(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	l := Listener{Name: "SSL", TLS: certify(t, dir, now.Add(40*24*time.Hour))}
	var log strings.Builder
	registry := prometheus.NewRegistry()
	cs, err := openCertificates(vfs.OS{}, []Listener{{Name: "PLAINTEXT"}, l}, nil, &Deps{Log: slog.New(slog.NewTextHandler(&log, nil)), Registry: registry, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if len(cs.all) != 1 || cs.of("SSL") == nil || cs.of("PLAINTEXT") != nil {
		t.Fatalf("%d certificates", len(cs.all))
	}
	pass := func(d time.Duration) (lines string) {
		log.Reset()
		for end := now.Add(d); now.Before(end); now = now.Add(time.Hour) {
			cs.look(cs.all[0])
		}
		return log.String()
	}
	if said := pass(10 * 24 * time.Hour); said != "" {
		t.Errorf("early:\n%s", said)
	}
	if said := pass(5 * 24 * time.Hour); strings.Count(said, "certificate expires soon") < 4 || strings.Count(said, "\n") > 5 {
		t.Errorf("in five days:\n%s", said)
	}
	if left := gauge(t, registry, "varve_tls_certificate_expiry_seconds"); left != 25*24*3600 {
		t.Errorf("%v seconds are left", left)
	}
	if err := os.WriteFile(l.TLS.CertFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := pass(12 * time.Hour); strings.Count(said, "changed certificate not used") != 1 || gauge(t, registry, "varve_tls_reload_failures_total") != 1 || gauge(t, registry, "varve_tls_reload_failed") != 1 {
		t.Errorf("broken:\n%s", said)
	}
	now = now.Add(30 * 24 * time.Hour)
	if said := pass(2 * time.Hour); strings.Count(said, "certificate has expired") != 1 || gauge(t, registry, "varve_tls_certificate_expiry_seconds") >= 0 {
		t.Errorf("expired:\n%s", said)
	}
	certify(t, dir, now.Add(400*24*time.Hour))
	if said := pass(3 * 24 * time.Hour); strings.Count(said, "certificate replaced") != 1 || strings.Count(said, "\n") != 1 || gauge(t, registry, "varve_tls_reload_failed") != 0 {
		t.Errorf("renewed:\n%s", said)
	}
}

// gauge returns the sum of a metric's values.
func gauge(t *testing.T, r *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
