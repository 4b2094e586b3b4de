package metadata_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"varve/internal/testserver"
	"varve/metadata"
	"varve/metadata/storetest"
)

// realConfig reaches a real etcd with short timeouts.
func realConfig(e *testserver.EtcdServer) metadata.Config {
	cfg := metadata.DefaultConfig()
	cfg.Endpoints = e.Endpoints
	cfg.RequestTimeout = time.Second
	return cfg
}

func TestEtcdConforms(t *testing.T) {
	t.Parallel()
	e := testserver.Etcd(t, testserver.EtcdOptions{})
	cfg := realConfig(e)
	cfg.RequestTimeout = 5 * time.Second
	storetest.Run(t, pair(cfg))
}

// lines is a log that a test reads.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// gauge reads a metric without labels.
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// observed opens a handle whose log and metrics the test reads.
func observed(t *testing.T, cfg metadata.Config) (metadata.Store, *lines, *prometheus.Registry) {
	t.Helper()
	log, reg := &lines{}, prometheus.NewRegistry()
	s, err := metadata.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(t, s) })
	return s, log, reg
}

func start(t *testing.T, e *testserver.EtcdServer) {
	t.Helper()
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, f func() error) {
	t.Helper()
	if err := f(); err != nil {
		t.Fatal(err)
	}
}

// Promise 5: what waits for etcd goes on when it is back, and a session whose
// etcd was killed keeps its lease.
func TestEtcdKilledAndStarted(t *testing.T) {
	t.Parallel()
	e := testserver.Etcd(t, testserver.EtcdOptions{})
	s, log, reg := observed(t, realConfig(e))
	n := session(t, s, 3*time.Second, "s")
	watch := s.Watch(t.Context(), "")
	if b := <-watch; !b.Reset || len(b.Events) != 1 {
		t.Fatalf("first batch %+v", b)
	}
	do(t, e.Kill)
	for range 3 {
		if _, err := s.Get(t.Context(), "s"); !errors.Is(err, metadata.ErrUnavailable) {
			t.Fatalf("get without etcd: %v", err)
		}
	}
	if gauge(t, reg, "varve_metadata_unavailable") != 1 || log.count(`msg="metadata store unavailable"`) != 1 {
		t.Fatalf("an outage is not shown once: %s", &log.buf)
	}
	w := metadata.NewWriter(s, metadata.DefaultWriterConfig(), quiet, nil)
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(t.Context(), []metadata.Guard{{Key: "x"}}, op("x", "1"))
		written <- err
	}()
	start(t, e)
	if err := <-written; err != nil {
		t.Fatalf("write over an outage: %v", err)
	}
	closeWriter(t, w)
	if b := <-watch; b.Reset || len(b.Events) != 1 || b.Events[0].KV.Key != "x" {
		t.Fatalf("watch after the outage: %+v", b)
	}
	select {
	case <-n.Lost():
		t.Fatal("session lost")
	case <-time.After(5 * time.Second): // longer than its time to live
	}
	wantValue(t, s, "s", "v")
	if gauge(t, reg, "varve_metadata_unavailable") != 0 || log.count(`msg="metadata store available again"`) != 1 {
		t.Fatalf("the end of the outage is not shown once: %s", &log.buf)
	}
}

// An etcd that hangs is distinguished from a caller that gives up.
func TestEtcdPaused(t *testing.T) {
	t.Parallel()
	e := testserver.Etcd(t, testserver.EtcdOptions{})
	s := open(t, realConfig(e))
	do(t, e.Pause)
	began := time.Now()
	_, err := s.Txn(t.Context(), nil, op("x", "1"))
	if !errors.Is(err, metadata.ErrUnavailable) || time.Since(began) > 10*time.Second {
		t.Fatalf("txn after %v: %v", time.Since(began), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, metadata.ErrUnavailable) {
		t.Fatalf("get with a deadline: %v", err)
	}
	do(t, e.Resume)
	w := metadata.NewWriter(s, metadata.DefaultWriterConfig(), quiet, nil)
	defer closeWriter(t, w)
	if _, err := w.Write(t.Context(), nil, op("y", "1")); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, "y", "1")
}

// authenticated gives a server a user of the prefix /varve/mine/ only.
func authenticated(t *testing.T, e *testserver.EtcdServer) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	for _, step := range []func() error{
		func() error { _, err := c.UserAdd(ctx, "root", "secret"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.UserAdd(ctx, "varve", "word"); return err },
		func() error { _, err := c.RoleAdd(ctx, "mine"); return err },
		func() error {
			all := clientv3.PermissionType(clientv3.PermReadWrite)
			_, err := c.RoleGrantPermission(ctx, "mine", "/varve/mine/", clientv3.GetPrefixRangeEnd("/varve/mine/"), all)
			return err
		},
		func() error { _, err := c.UserGrantRole(ctx, "varve", "mine"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	} {
		do(t, step)
	}
}

// A user with a password gets tokens, which end by time and with the server.
func TestEtcdPassword(t *testing.T) {
	t.Parallel()
	e := testserver.Etcd(t, testserver.EtcdOptions{Args: []string{"--auth-token-ttl=1", "--bcrypt-cost=4"}})
	authenticated(t, e)
	cfg := realConfig(e)
	cfg.RequestTimeout = 5 * time.Second
	cfg.Prefix, cfg.Username, cfg.Password = "/varve/mine/", "varve", "word"
	s := open(t, cfg)
	n := session(t, s, 3*time.Second, "s")
	watch := s.Watch(t.Context(), "")
	<-watch
	select {
	case <-n.Lost():
		t.Fatal("session lost")
	case <-time.After(4 * time.Second): // the token's time is over, and the lease's
	}
	put(t, s, "x", "1")
	if b := <-watch; len(b.Events) != 1 || b.Events[0].KV.Key != "x" {
		t.Fatalf("watch: %+v", b)
	}
	do(t, e.Kill)
	start(t, e)
	writeOverRestart(t, s)
	if b := <-watch; b.Reset || len(b.Events) != 1 || b.Events[0].KV.Key != "y" {
		t.Fatalf("watch after restart: %+v", b)
	}
	if isLost(n) {
		t.Fatal("session lost")
	}
}

// TestEtcdTokensAreKept: a session that is renewed often has etcd check the password once, not at each renewal, which costs it a
// tenth of a second of CPU.
func TestEtcdTokensAreKept(t *testing.T) {
	t.Parallel()
	e := testserver.Etcd(t, testserver.EtcdOptions{Args: []string{"--bcrypt-cost=4"}})
	authenticated(t, e)
	started := func(method, service, kind string) int {
		t.Helper()
		page, err := http.Get(e.Endpoints[0] + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer page.Body.Close()
		text, err := io.ReadAll(page.Body)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), fmt.Sprintf("grpc_server_started_total{grpc_method=%q,grpc_service=\"etcdserverpb.%s\",grpc_type=%q} ", method, service, kind))
		line, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.ParseFloat(line, 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	cfg := realConfig(e)
	cfg.RequestTimeout = 5 * time.Second
	cfg.Prefix, cfg.Username, cfg.Password = "/varve/mine/", "varve", "word"
	n := session(t, open(t, cfg), time.Second, "s")
	checks := func() int { return started("Authenticate", "Auth", "unary") }
	renewals := func() int { return started("LeaseKeepAlive", "Lease", "bidi_stream") }
	checked, renewed := checks(), renewals()
	for late := time.After(time.Minute); renewals() < renewed+15; {
		select {
		case <-late:
			t.Fatalf("%d renewals within a minute", renewals()-renewed)
		case <-n.Lost():
			t.Fatal("session lost")
		case <-time.After(100 * time.Millisecond):
		}
	}
	if got := checks() - checked; got > 2 {
		t.Errorf("etcd checked the password %d times within 15 renewals", got)
	}
}

// TestEtcdPasswordChanges: a password that was changed in etcd is read from its file again. While the file lags behind,
// requests are refused.
func TestEtcdPasswordChanges(t *testing.T) {
	t.Parallel()
	e := testserver.Etcd(t, testserver.EtcdOptions{Args: []string{"--bcrypt-cost=4"}})
	authenticated(t, e)
	cfg := realConfig(e)
	cfg.RequestTimeout = 5 * time.Second
	cfg.Prefix, cfg.Username, cfg.Password, cfg.PasswordFile = "/varve/mine/", "varve", "word", filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		t.Helper()
		if err := os.WriteFile(cfg.PasswordFile, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("word")
	s := open(t, cfg)
	n := session(t, s, 10*time.Second, "s")
	watch := s.Watch(t.Context(), "")
	<-watch
	root, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints, Username: "root", Password: "secret", Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := root.UserChangePassword(t.Context(), "varve", "another"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Txn(t.Context(), nil, metadata.Put("x", nil)); !errors.Is(err, metadata.ErrDenied) {
		t.Fatalf("with the password from before: %v", err)
	}
	write("another")
	put(t, s, "x", "1")
	if b := <-watch; len(b.Events) != 1 || b.Events[0].KV.Key != "x" {
		t.Fatalf("watch: %+v", b)
	}
	if isLost(n) {
		t.Fatal("session lost")
	}
}

// writeOverRestart writes y through the connection's loss.
func writeOverRestart(t *testing.T, s metadata.Store) {
	t.Helper()
	w := metadata.NewWriter(s, metadata.DefaultWriterConfig(), quiet, nil)
	defer closeWriter(t, w)
	if _, err := w.Write(t.Context(), []metadata.Guard{{Key: "y"}}, op("y", "1")); err != nil {
		t.Fatal(err)
	}
}

func TestEtcdDenied(t *testing.T) {
	t.Parallel()
	e := testserver.Etcd(t, testserver.EtcdOptions{Args: []string{"--bcrypt-cost=4"}})
	authenticated(t, e)
	for name, change := range map[string]func(*metadata.Config){
		"nobody":         func(c *metadata.Config) {},
		"wrong password": func(c *metadata.Config) { c.Username, c.Password = "varve", "guess" },
		"other prefix":   func(c *metadata.Config) { c.Username, c.Password, c.Prefix = "varve", "word", "/varve/yours/" },
	} {
		cfg := realConfig(e)
		cfg.Prefix = "/varve/mine/"
		change(&cfg)
		if _, err := metadata.Open(t.Context(), cfg, quiet, nil); !errors.Is(err, metadata.ErrDenied) {
			t.Fatalf("%s: %v", name, err)
		}
	}
}
