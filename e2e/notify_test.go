package e2e

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSystemdIsTold: as a service of type notify the agent says when it serves, not before, and that it stops.
func TestSystemdIsTold(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "varve-notify-") // a short name, as sockets need
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mu sync.Mutex
	var told []string
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := l.Read(b)
			if err != nil {
				return
			}
			mu.Lock()
			told = append(told, string(b[:n]))
			mu.Unlock()
		}
	}()
	says := func(text string) error {
		mu.Lock()
		defer mu.Unlock()
		if all := strings.Join(told, "\n"); !strings.Contains(all, text) {
			return errors.New(text + " is not in " + all)
		}
		return nil
	}
	kafka, http := freeAddr(t), freeAddr(t)
	cmd := exec.Command(binary, "dev", "--data", t.TempDir(), "--kafka-listen", kafka, "--http-listen", http)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	p := start(t, cmd)
	poll(t, 30*time.Second, "READY=1", func() error { return says("READY=1") })
	if out := output(t, "ready", "--http", http); !strings.HasPrefix(out, "ready") {
		t.Errorf("systemd was told that it is ready, and it says %q", out)
	}
	p.stop()
	poll(t, 10*time.Second, "STOPPING=1", func() error { return says("STOPPING=1") })
	if out, err := exec.Command(binary, "ready", "--http", http).CombinedOutput(); err == nil || cmd.ProcessState == nil {
		t.Errorf("it is ready after its end: %s", out)
	} else if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 4 {
		t.Errorf("%v: %s", err, out)
	}
}
