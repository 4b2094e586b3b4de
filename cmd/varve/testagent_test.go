package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/agent"
	"varve/internal/logs"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/s3store"
)

// TestMain keeps the profiles of whoever runs the tests out of them.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "varve-cli-")
	if err == nil {
		err = os.Setenv("XDG_CONFIG_HOME", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no directory for the tests:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// testAgent is an agent in this process, as `varve dev` runs one: with an
// embedded etcd and a directory as bucket.
type testAgent struct {
	dir, kafka, http string
	etcd             string // its URL
	registry         *prometheus.Registry
	stop             func()
}

// startAgent starts one, with changed settings; it ends with the test, or by stop.
func startAgent(t *testing.T, change ...func(*agent.Config)) *testAgent {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	a := &testAgent{dir: dir, registry: newRegistry(logs.NewLimit(0))}
	etcd, err := metadata.StartEmbedded(ctx, metadata.EmbedConfig{Dir: filepath.Join(dir, "etcd"), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	meta, err := metadata.Open(ctx, etcd.Config(), quiet, a.registry)
	if err != nil {
		t.Fatal(err)
	}
	cfg := agent.DefaultConfig()
	cfg.DataDir, cfg.HTTP, cfg.Listeners[0].Bind = dir, "127.0.0.1:0", "127.0.0.1:0"
	cfg.Listeners = append(cfg.Listeners, agent.Listener{Name: "SSL", Bind: "127.0.0.1:0", TLS: certify(t, dir)})
	cfg.Groups.Members.InitialRebalanceDelay = 0
	cfg.Replication.Factor, cfg.Replication.Quorum, cfg.Peer.Bind = 1, 1, ""
	cfg.Journal.FileBytes, cfg.Journal.ChunkBytes, cfg.Journal.CacheBytes = 4<<20, 1<<20, 4<<20
	cfg.Journal.SoftBytes, cfg.Journal.HardBytes, cfg.Journal.ReserveBytes, cfg.Journal.Direct = 64<<20, 128<<20, 0, false
	cfg.Store.Driver, cfg.Store.Directory = s3store.DriverDir, filepath.Join(dir, "bucket")
	for _, f := range change {
		f(&cfg)
	}
	objects, err := s3store.Open(ctx, cfg.Store, quiet, a.registry)
	if err != nil {
		t.Fatal(err)
	}
	shared := agent.SharedConfig()
	memory, err := shared.ShareMemory(8 << 30)
	if err != nil {
		t.Fatal(err)
	}
	run, err := agent.New(cfg, agent.Deps{FS: vfs.OS{}, Meta: meta, Objects: objects, Log: quiet, Registry: a.registry, Memory: memory, Listen: net.Listen, Dial: dial, Version: "v0.0.0-test"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Run(ctx) }()
	stopped := false
	a.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("agent: %v", err)
		}
		for _, c := range []interface{ Close() error }{objects, meta, etcd} {
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}
	select {
	case <-run.Started():
	case err := <-ended:
		t.Fatalf("agent: %v", err)
	}
	t.Cleanup(a.stop)
	a.etcd = etcd.Config().Endpoints[0]
	a.kafka, a.http = run.Addresses()[cfg.Listeners[0].Name], run.HTTPAddress()
	t.Setenv(brokersVariable, a.kafka)
	return a
}

// certify writes a certificate that signs itself, and its key.
func certify(t *testing.T, dir string) agent.ListenerTLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	l := agent.ListenerTLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	for name, b := range map[string]*pem.Block{l.CertFile: {Type: "CERTIFICATE", Bytes: cert}, l.KeyFile: {Type: "PRIVATE KEY", Bytes: pkcs}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// ran is how a command ended.
type ran struct {
	out, err string
	code     int
}

// command runs the program with arguments separated by spaces, and input.
func command(t *testing.T, input, line string, more ...string) ran {
	t.Helper()
	c := root()
	var out, stderr bytes.Buffer
	c.SetArgs(append(strings.Fields(line), more...))
	c.SetIn(strings.NewReader(input))
	c.SetOut(&out)
	c.SetErr(&stderr)
	err := c.ExecuteContext(t.Context())
	if err != nil {
		stderr.WriteString(err.Error())
	}
	return ran{out.String(), stderr.String(), exitCode(err)}
}

// must runs a command that has to end well, and returns what it wrote.
func must(t *testing.T, input, line string, more ...string) string {
	t.Helper()
	r := command(t, input, line, more...)
	if r.code != exitOK {
		t.Fatalf("varve %s: exit code %d: %s", line, r.code, r.err)
	}
	return r.out
}
