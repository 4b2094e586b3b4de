package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// agent is the process under test; start may follow stop.
type agent struct {
	binary, data, log string
	args, env         []string

	cmd   *exec.Cmd
	kafka string
}

// start returns when the agent is ready.
func (a *agent) start(ctx context.Context) error {
	kafka, err1 := freeAddr()
	page, err2 := freeAddr()
	out, err3 := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	defer out.Close()
	a.kafka = kafka
	a.cmd = exec.Command(a.binary, append([]string{"agent", "--replication-factor=1", "--replication-quorum=1", "--peer-bind=", "--data-dir", a.data, "--http", page,
		"--listeners", "[{name: PLAINTEXT, bind: '" + kafka + "'}]"}, a.args...)...)
	a.cmd.Env = append(os.Environ(), a.env...)
	a.cmd.Stdout, a.cmd.Stderr = out, out
	if err := a.cmd.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		if resp, err := http.Get("http://" + page + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the agent is not ready (its log is %s): %w", a.log, ctx.Err())
		}
	}
}

// stop lets the agent upload what waits.
func (a *agent) stop() error {
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := a.cmd.Wait()
	a.cmd = nil
	return err
}

func (a *agent) kill() {
	if a.cmd != nil {
		_ = a.cmd.Process.Kill() // it may have ended
		_ = a.cmd.Wait()
	}
}

// bench runs a mode of varve bench and returns its line of JSON.
func (a *agent) bench(ctx context.Context, mode string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, a.binary, append([]string{"bench", mode, "--brokers", a.kafka, "--json", "--pids", strconv.Itoa(a.cmd.Process.Pid)}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("varve bench %s: %w", mode, err)
	}
	return string(out), nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
