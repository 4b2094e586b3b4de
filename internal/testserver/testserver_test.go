package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestEtcdKeepsDataAndPortsOverRestarts(t *testing.T) {
	server := Etcd(t, EtcdOptions{})
	kv := func(path, body string) string {
		t.Helper()
		response, err := direct.Post(server.Endpoints[0]+"/v3/kv/"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s %v", path, response.Status, answer, err)
		}
		return string(answer)
	}
	kv("put", `{"key":"YQ==","value":"Yg=="}`)
	for name, end := range map[string]func() error{
		"SIGTERM": func() error { return server.Stop(syscall.SIGTERM) },
		"SIGKILL": server.Kill,
	} {
		if err := end(); err != nil {
			t.Fatal(name, err)
		}
		if server.Pid() != 0 {
			t.Fatalf("etcd runs after %s", name)
		}
		if err := server.Start(); err != nil {
			t.Fatal(name, err)
		}
		if answer := kv("range", `{"key":"YQ=="}`); !strings.Contains(answer, `"value":"Yg=="`) {
			t.Fatalf("after %s etcd answers %s", name, answer)
		}
	}
	if err := server.Start(); err == nil {
		t.Fatal("a running server started twice")
	}
}

func TestAnotherEtcdLeadsWhenTheLeaderDied(t *testing.T) {
	cluster := Etcds(t, 3)
	first, err := cluster.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		next, err := cluster.Leader(ctx)
		if err == nil && next != first {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("nobody else leads: %v", err)
		}
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
}

func TestMinIOPausesAndResumes(t *testing.T) {
	server := MinIO(t)
	if err := server.CreateBucket(t.Context(), "pictures"); err != nil {
		t.Fatal(err)
	}
	if err := server.CreateBucket(t.Context(), "pictures"); err != nil {
		t.Fatalf("the second time: %v", err)
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := server.ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a paused server: %v", err)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := server.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestStartFailureShowsTheLog(t *testing.T) {
	_, err := StartEtcd(t.Context(), t.TempDir(), EtcdOptions{Args: []string{"--no-such-flag"}}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Fatalf("got %v", err)
	}
}

func TestPortsAreHandedOutOnce(t *testing.T) {
	ports, err := reservePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	defer releasePorts(ports)
	seen := map[int]bool{}
	for _, p := range ports {
		if seen[p.number] {
			t.Fatalf("port %d twice", p.number)
		}
		seen[p.number] = true
		path := filepath.Join(os.TempDir(), "varve-test-ports", fmt.Sprint(p.number))
		if _, err := tryLock(path); !errors.Is(err, syscall.EWOULDBLOCK) {
			t.Fatalf("port %d can be reserved again: %v", p.number, err)
		}
	}
}

// fakeGo puts a "go" in front of PATH that counts its calls.
func fakeGo(t *testing.T, script string) (calls string) {
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	text := "#!/bin/sh\necho called >> " + calls + "\n" + script
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("VARVE_TEST_CACHE", t.TempDir())
	return calls
}

func TestManyBuildersBuildOnce(t *testing.T) {
	calls := fakeGo(t, `while [ "$1" != -o ]; do shift; done; echo binary > "$2"`)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			path, err := Build(context.Background(), EtcdName, io.Discard)
			if err != nil || !isFile(path) {
				t.Errorf("%s: %v", path, err)
			}
		})
	}
	wait.Wait()
	if data, _ := os.ReadFile(calls); string(data) != "called\n" {
		t.Fatalf("the compiler ran:\n%s", data)
	}
}

func TestFailedBuildLeavesNoBinary(t *testing.T) {
	fakeGo(t, `echo broken source; exit 1`)
	var progress bytes.Buffer
	for range 2 { // a second call must not find a binary that isn't there
		path, err := Build(t.Context(), EtcdName, &progress)
		if err == nil || path != "" || !strings.Contains(err.Error(), "broken source") {
			t.Fatalf("got %q, %v", path, err)
		}
	}
	if !strings.Contains(progress.String(), "building etcd") {
		t.Fatalf("progress: %q", &progress)
	}
}
