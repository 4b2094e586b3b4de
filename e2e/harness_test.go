// Package e2e runs whole clusters of real processes (the agent's binary, etcd,
// MinIO) against the promises of ARCHITECTURE.md, a file for each.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"varve/internal/testserver"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "varve-e2e-")
	if err == nil {
		err = os.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config")) // no profiles of whoever runs the tests
	}
	if err == nil {
		binary = filepath.Join(dir, "varve")
		build := exec.Command("go", "build", "-o", binary, "varve/cmd/varve")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: build the agent:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// process is one run of the binary.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{}
	err  error
	born time.Time
}

// logBuffer keeps what a process printed.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run starts the binary; the test ends it.
func run(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, exec.Command(binary, args...))
}

// start starts a process; the test ends it.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, log: new(logBuffer), done: make(chan struct{}), born: time.Now()}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("%v:\n%s", cmd, tail(p.log.String(), 6000))
		}
	})
	return p
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) } // it may have ended

// kill is the loss of the process without a word.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop asks the process to end, and wants code 0.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		p.t.Fatal("the agent did not stop within a minute")
	}
	if p.err != nil {
		p.t.Fatalf("stop: %v", p.err)
	}
}

// site is what a cluster of one agent consists of.
type site struct {
	t     *testing.T
	etcd  *testserver.EtcdServer
	minio *testserver.MinIOServer
	dir   string
	kafka string
	http  string
	extra []string // more flags
	agent *process
}

const bucket = "varve"

// newSite starts etcd and MinIO; start starts the agent.
func newSite(t *testing.T, extra ...string) *site {
	t.Helper()
	s := &site{t: t, etcd: testserver.Etcd(t, testserver.EtcdOptions{}), minio: testserver.MinIO(t), dir: t.TempDir(), extra: extra}
	if err := s.minio.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	s.kafka, s.http = freeAddr(t), freeAddr(t)
	config := fmt.Sprintf(`broker_id: 1
data_dir: %s
listeners:
  - name: PLAINTEXT
    bind: %s
http: %s
replication:
  factor: 1
  quorum: 1
peer:
  bind: ""
etcd:
  endpoints: [%s]
store:
  driver: minio
  endpoint: %s
  bucket: %s
  access_key: %s
  secret_key: %s
  path_style: true
upload:
  max_age: 2s
groups:
  initial_rebalance_delay: 0s
`, s.data(), s.kafka, s.http, strings.Join(s.etcd.Endpoints, ", "), s.minio.Endpoint, bucket, s.minio.AccessKey, s.minio.SecretKey)
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) data() string   { return filepath.Join(s.dir, "data") }
func (s *site) config() string { return filepath.Join(s.dir, "varve.yaml") }

// start starts the agent and waits until it is ready.
func (s *site) start() {
	s.t.Helper()
	s.launch()
	s.await("/readyz")
}

func (s *site) launch() {
	s.agent = run(s.t, append([]string{"agent", "--config", s.config()}, s.extra...)...)
}

// await asks until a page answers 200.
func (s *site) await(path string) {
	s.t.Helper()
	awaitPage(s.t, s.agent, "http://"+s.http+path)
}

func awaitPage(t *testing.T, p *process, url string) {
	t.Helper()
	poll(t, 60*time.Second, "page "+url, func() error {
		select {
		case <-p.done:
			t.Fatalf("the agent ended: %v", p.err)
		default:
		}
		_, err := get(url)
		return err
	})
}

func get(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}

// poll repeats try until it succeeds; it is for conditions in another process.
func poll(t *testing.T, patience time.Duration, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// freeAddr returns a loopback address that nobody listens on at this moment, below
// the range of ports that clients are given.
func freeAddr(t *testing.T) string {
	t.Helper()
	for port := 18000 + os.Getpid()%1000; port < 20000; port++ {
		freeMu.Lock()
		taken := freeTaken[port]
		freeTaken[port] = true
		freeMu.Unlock()
		if taken {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal(errors.New("no free port"))
	return ""
}

var (
	freeMu    sync.Mutex
	freeTaken = map[int]bool{}
)
