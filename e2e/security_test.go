package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// secured is one agent with a listener of every protocol, and a first user.
type secured struct {
	*process
	dir                        string // of the certificates of authority
	authority                  *authority
	open, tls, sasl, saslOnTLS string // addresses
	http                       string
	env                        []string
	config                     string
	data                       string
}

const firstUser = "admin:first secret"

// newSecured starts an agent. more is added to the listener with SASL and TLS.
func newSecured(t *testing.T, more string) *secured {
	t.Helper()
	s := &secured{dir: t.TempDir(), authority: newAuthority(t), open: freeAddr(t), tls: freeAddr(t), sasl: freeAddr(t), saslOnTLS: freeAddr(t), http: freeAddr(t), data: t.TempDir()}
	if err := s.authority.issue(s.dir); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "VARVE_BOOTSTRAP_USER="+firstUser)
	s.config = filepath.Join(s.dir, "varve.yaml")
	files := fmt.Sprintf("cert_file: %[1]s/cert.pem, key_file: %[1]s/key.pem, client_ca_file: %[1]s/ca.pem", s.dir)
	config := fmt.Sprintf(`listeners:
- {name: PLAINTEXT, bind: "%s"}
- {name: CERTIFIED, bind: "%s", protocol: SSL, tls: {%s, client_auth: requested}, principal_mapping_rules: ["RULE:^CN=([^,]+),OU=people.*$/$1/L", DEFAULT]}
- {name: SASL_PLAINTEXT, bind: "%s", sasl: {mechanisms: [SCRAM-SHA-512, SCRAM-SHA-256, PLAIN]}}
- {name: SASL_SSL, bind: "%s", tls: {%s, min_version: "1.3"}, sasl: {mechanisms: [SCRAM-SHA-512, SCRAM-SHA-256, PLAIN]%s}}
security: {delegation_tokens: {secret_file: "%s/token-secret"}}
`, s.open, s.tls, files, s.sasl, s.saslOnTLS, files, more, s.dir)
	if err := os.WriteFile(filepath.Join(s.dir, "token-secret"), []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	return s
}

func (s *secured) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(binary, "dev", "--data", s.data, "--http-listen", s.http, "--config", s.config)
	cmd.Env = s.env
	s.process = start(t, cmd)
	awaitPage(t, s.process, "http://"+s.http+"/readyz")
}

// trust is a client's side of TLS: it believes these authorities.
func trust(all ...*authority) *tls.Config {
	pool := x509.NewCertPool()
	for _, a := range all {
		pool.AppendCertsFromPEM(a.pem)
	}
	return &tls.Config{RootCAs: pool}
}

// client makes a certificate of a client.
func (a *authority) client(t *testing.T, subject pkix.Name) tls.Certificate {
	t.Helper()
	key, cert, err := a.sign(&x509.Certificate{SerialNumber: big.NewInt(3), Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(cert)
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

// exchange produces a record and reads it back.
func exchange(t *testing.T, topic, value string, opts ...kgo.Opt) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(append(opts, kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RetryTimeout(5*time.Second), kgo.RecordDeliveryTimeout(10*time.Second))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.Ping(ctx); err != nil {
		return err
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		return err
	}
	for {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			if string(r.Value) == value {
				return nil
			}
		}
	}
}

func mechanisms(user, password string) map[string]kgo.Opt {
	p := plain.Auth{User: user, Pass: password}
	s := scram.Auth{User: user, Pass: password}
	return map[string]kgo.Opt{"PLAIN": kgo.SASL(p.AsMechanism()), "SCRAM-SHA-256": kgo.SASL(s.AsSha256Mechanism()), "SCRAM-SHA-512": kgo.SASL(s.AsSha512Mechanism())}
}

// Every protocol and mechanism works, with a client that nobody here wrote. Wrong passwords, wrong
// certificates and wrong protocols don't, and the log says why, without a secret.
func TestSecuredListeners(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "")
	name, password, _ := strings.Cut(firstUser, ":")
	ours := trust(s.authority)
	for m, opt := range mechanisms(name, password) {
		if err := exchange(t, "open", m, kgo.SeedBrokers(s.sasl), opt); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		if err := exchange(t, "encrypted", m, kgo.SeedBrokers(s.saslOnTLS), kgo.DialTLSConfig(ours), opt); err != nil {
			t.Errorf("%s over TLS: %v", m, err)
		}
	}
	for m, opt := range mechanisms(name, "hunter2") {
		if err := exchange(t, "encrypted", m, kgo.SeedBrokers(s.saslOnTLS), kgo.DialTLSConfig(ours), opt); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s with a wrong password: %v", m, err)
		}
	}
	if err := exchange(t, "encrypted", "x", kgo.SeedBrokers(s.saslOnTLS), kgo.DialTLSConfig(ours)); err == nil {
		t.Error("served without SASL")
	}
	if err := exchange(t, "encrypted", "x", kgo.SeedBrokers(s.saslOnTLS), mechanisms(name, password)["PLAIN"]); err == nil {
		t.Error("served without TLS")
	}
	if err := exchange(t, "certified", "anybody", kgo.SeedBrokers(s.tls), kgo.DialTLSConfig(ours)); err != nil {
		t.Errorf("without a certificate: %v", err)
	}
	for subject, cert := range map[string]tls.Certificate{
		"User:ann":                      s.authority.client(t, pkix.Name{CommonName: "Ann", OrganizationalUnit: []string{"people"}}),
		"User:CN=robot\\,1,OU=machines": s.authority.client(t, pkix.Name{CommonName: "robot,1", OrganizationalUnit: []string{"machines"}}),
	} {
		mine := ours.Clone()
		mine.Certificates = []tls.Certificate{cert}
		if err := exchange(t, "certified", subject, kgo.SeedBrokers(s.tls), kgo.DialTLSConfig(mine)); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
		if !strings.Contains(strings.ReplaceAll(s.log.String(), `\\`, `\`), "client.principal="+subject) && !strings.Contains(strings.ReplaceAll(s.log.String(), `\\`, `\`), `client.principal="`+subject) {
			t.Errorf("%s is not in the log", subject)
		}
	}
	strange := ours.Clone()
	strange.Certificates = []tls.Certificate{newAuthority(t).client(t, pkix.Name{CommonName: "Ann", OrganizationalUnit: []string{"people"}})}
	strange.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &strange.Certificates[0], nil }
	if err := exchange(t, "certified", "x", kgo.SeedBrokers(s.tls), kgo.DialTLSConfig(strange)); err == nil {
		t.Error("a certificate of another authority is let in")
	}
	if _, err := tls.Dial("tcp", s.saslOnTLS, &tls.Config{RootCAs: ours.RootCAs, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 where 1.3 is the least")
	}
	log := s.log.String()
	if strings.Contains(log, "first secret") || strings.Contains(log, "hunter2") {
		t.Error("the log has a password")
	}
	for _, want := range []string{"part=audit", "authentication failed", "first user created", "passwords are sent unencrypted", "certificate expires soon"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// A new user can log in at once, a deleted one can't. The first user is created only once.
func TestUsersComeAndGo(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "")
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, "user", "create", "alice", "--new-password-file", password, "-b", s.open)
	for m, opt := range mechanisms("alice", "secret") {
		if err := exchange(t, "users", m, kgo.SeedBrokers(s.sasl), opt); err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
	output(t, "user", "delete", "alice", "admin", "-b", s.open)
	for _, user := range []string{"alice:secret", firstUser} {
		name, password, _ := strings.Cut(user, ":")
		if err := exchange(t, "users", "x", kgo.SeedBrokers(s.sasl), mechanisms(name, password)["SCRAM-SHA-256"]); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s is let in: %v", name, err)
		}
	}
	s.stop()
	s.start(t)
	if out := output(t, "user", "list", "--json", "-b", s.open); strings.TrimSpace(out) != "[]" {
		t.Errorf("after a restart: %s", out)
	}
}

// disconnects counts connections that ended.
type disconnects struct{ atomic.Int32 }

func (d *disconnects) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { d.Add(1) }

// Certificates of another authority take the place of the first ones under load: no connection
// is lost, and new ones see the new certificate. A broken file changes nothing. Meanwhile
// clients authenticate again.
func TestCertificatesAreReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSecured(t, ", max_reauth: 3s")
	next := newAuthority(t)
	both := trust(s.authority, next)
	name, password, _ := strings.Cut(firstUser, ":")
	var lost disconnects
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.saslOnTLS), kgo.DialTLSConfig(both), mechanisms(name, password)["SCRAM-SHA-512"], kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("load"), kgo.WithHooks(&lost))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	load, stop := context.WithCancel(t.Context())
	var acked atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for load.Err() == nil {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 10_000)}).FirstErr(); err != nil {
				ended <- err
				return
			}
			acked.Add(1)
		}
		ended <- nil
	}()
	shown := func() error {
		c, err := tls.Dial("tcp", s.saslOnTLS, trust(next))
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := shown(); err == nil {
		t.Fatal("the new certificate is there already")
	}
	key, err := os.ReadFile(filepath.Join(s.dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "key.pem"), key[:len(key)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	poll(t, 20*time.Second, "the log of a broken key", func() error {
		if !strings.Contains(s.log.String(), "changed certificate not used") {
			return errors.New("not yet")
		}
		return nil
	})
	if c, err := tls.Dial("tcp", s.saslOnTLS, trust(s.authority)); err != nil {
		t.Errorf("with a broken key: %v", err)
	} else {
		c.Close()
	}
	if err := next.issue(s.dir); err != nil {
		t.Fatal(err)
	}
	poll(t, 20*time.Second, "the new certificate", shown)
	before := acked.Load()
	poll(t, 20*time.Second, "more records", func() error {
		if acked.Load() < before+20 {
			return errors.New("no progress")
		}
		return nil
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	page, err := get("http://" + s.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`varve_tls_certificate_expiry_seconds{listener="SASL_SSL"} 3`, `varve_tls_reload_failures_total{listener="SASL_SSL"}`, `varve_kafka_expired_sessions_total 0`} {
		if !strings.Contains(page, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if n := lost.Load(); n != 0 {
		t.Errorf("%d connections were lost", n)
	}
	offsets, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), "load")
	if o, _ := offsets.Lookup("load", 0); err != nil || o.Offset != acked.Load() {
		t.Errorf("the log ends at %d, %d were acknowledged; %v", o.Offset, acked.Load(), err)
	}
}
