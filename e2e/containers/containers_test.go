// Package containers runs the agent, etcd and MinIO as containers, as people deploy them: the agent from
// the image that is released, the servers each FROM scratch around one static binary.
package containers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/testserver"
)

// servers returns where the binaries of etcd and MinIO are, from the tests' cache.
func servers(t *testing.T) map[string]string {
	t.Helper()
	build := exec.Command("go", "run", "-C", "../..", "./internal/testserver/cmd/servers")
	build.Stderr = os.Stderr
	out, err := build.Output()
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		name, path, _ := strings.Cut(line, " ")
		paths[name] = path
	}
	return paths
}

// release builds the agent's image as it is released, loads it into Docker, and returns what asks for it.
func release(t *testing.T) testcontainers.ContainerRequest {
	t.Helper()
	dist := filepath.Join(t.TempDir(), "dist")
	run(t, "go", "run", "-C", "../../packaging", ".", "--root", "..", "--out", dist, "--arch", runtime.GOARCH, "--version", "0.0.1")
	images, err := filepath.Glob(filepath.Join(dist, "*-image.tar"))
	if err != nil || len(images) != 1 {
		t.Fatalf("images: %v, %v", images, err)
	}
	run(t, "docker", "load", "--input", images[0])
	return testcontainers.ContainerRequest{Image: "varve:latest"}
}

// run runs a command that has to end well.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// image lays out what Docker builds from, a Dockerfile and the binary, and returns what asks for it.
func image(t *testing.T, name, binary string) testcontainers.ContainerRequest {
	t.Helper()
	dir := t.TempDir()
	in, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), in, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	file := fmt.Sprintf("FROM scratch\nCOPY tmp /tmp\nCOPY %s /%s\nENTRYPOINT [\"/%s\"]\n", name, name, name)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	return testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{Context: dir, Repo: "varve-test-" + name, Tag: "latest", KeepImage: true}}
}

// start runs a container on the host's network, where all that listens is on
// loopback.
func start(t *testing.T, name string, from testcontainers.ContainerRequest, env map[string]string, ready wait.Strategy, args ...string) testcontainers.Container {
	t.Helper()
	from.Cmd, from.Env, from.WaitingFor, from.NetworkMode = args, env, ready, "host"
	c, err := testcontainers.GenericContainer(t.Context(), testcontainers.GenericContainerRequest{ContainerRequest: from, Started: true})
	if c != nil {
		t.Cleanup(func() {
			if t.Failed() {
				if logs, err := c.Logs(context.Background()); err == nil {
					b, _ := io.ReadAll(logs)
					t.Logf("%s:\n%s", name, b)
				}
			}
			_ = c.Terminate(context.Background())
		})
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

// address returns a free port of loopback.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func listening(addr string) wait.Strategy {
	return wait.ForNop(func(ctx context.Context, _ wait.StrategyTarget) error {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for {
			if c, err := net.Dial("tcp", addr); err == nil {
				return c.Close()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("nobody listens on %s", addr)
			}
		}
	})
}

func TestAgentEtcdAndMinIOAsContainers(t *testing.T) {
	bins, varve := servers(t), release(t)
	etcd, peer, minio, kafka, http := address(t), address(t), address(t), address(t), address(t)
	start(t, "etcd", image(t, "etcd", bins["etcd"]), nil, listening(etcd), "--data-dir=/tmp/etcd", "--listen-client-urls=http://"+etcd, "--advertise-client-urls=http://"+etcd,
		"--listen-peer-urls=http://"+peer, "--initial-advertise-peer-urls=http://"+peer, "--initial-cluster=default=http://"+peer)
	start(t, "minio", image(t, "minio", bins["minio"]), map[string]string{"MINIO_ROOT_USER": "varve", "MINIO_ROOT_PASSWORD": "varve-secret", "MINIO_UPDATE": "off", "MINIO_BROWSER": "off"},
		listening(minio), "server", "/tmp/minio", "--address", minio)
	makeBucket(t, minio)
	env := map[string]string{
		"VARVE_HTTP": http, "VARVE_HTTP_ADDR": http, "VARVE_LISTENERS": fmt.Sprintf("[{name: PLAINTEXT, bind: '%s'}]", kafka),
		"VARVE_ETCD_ENDPOINTS": "[http://" + etcd + "]", "VARVE_STORE_DRIVER": "aws", "VARVE_STORE_ENDPOINT": "http://" + minio, "VARVE_STORE_BUCKET": "varve",
		"VARVE_STORE_REGION": "us-east-1", "VARVE_STORE_PATH_STYLE": "true", "VARVE_STORE_ACCESS_KEY": "varve", "VARVE_STORE_SECRET_KEY": "varve-secret",
		"VARVE_JOURNAL_RESERVE_BYTES": "0", "VARVE_REPLICATION_FACTOR": "1", "VARVE_REPLICATION_QUORUM": "1", "VARVE_PEER_BIND": "",
	}
	healthy := wait.ForHealthCheck() // the image's own
	agent := start(t, "varve", varve, env, healthy)

	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.DefaultProduceTopic("t"), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var want bytes.Buffer
	for i := range 1000 {
		fmt.Fprintln(&want, i)
		cl.Produce(ctx, kgo.StringRecord(fmt.Sprint(i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	// A container that is replaced by a fresh one has lost its disk; all is read back
	// from the bucket.
	patience := time.Minute
	if err := agent.Stop(ctx, &patience); err != nil {
		t.Fatal(err)
	}
	if state, err := agent.State(ctx); err != nil || state.ExitCode != 0 || state.OOMKilled {
		t.Errorf("the agent's container was stopped: %+v, %v", state, err)
	}
	if err := agent.Terminate(ctx); err != nil {
		t.Fatal(err)
	}
	start(t, "varve", varve, env, healthy)
	var got bytes.Buffer
	for n := 0; n < 1000; {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of 1000 records: %v", n, fs.Err())
		}
		fs.EachRecord(func(r *kgo.Record) {
			n++
			fmt.Fprintln(&got, string(r.Value))
		})
	}
	if got.String() != want.String() {
		t.Error("the records that came back from the bucket differ")
	}
}

// makeBucket makes the bucket that the agent will use, once MinIO serves.
func makeBucket(t *testing.T, endpoint string) {
	t.Helper()
	m := &testserver.MinIOServer{Endpoint: "http://" + endpoint, AccessKey: "varve", SecretKey: "varve-secret"}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := m.CreateBucket(ctx, "varve")
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("make the bucket: %v", err)
		}
	}
}
