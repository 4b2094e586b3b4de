package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Times that a server has to answer after its start, and to end after Stop
// before it is killed.
const (
	readyWithin = 60 * time.Second
	stopWithin  = 20 * time.Second
)

// Process is a server's process, which can be stopped and started again on the
// same data and ports. All methods may be called from any goroutine.
type Process struct {
	name    string
	binary  string
	args    []string
	env     []string
	logPath string
	ready   func(context.Context) error
	ports   []port

	mu struct {
		sync.Mutex
		cmd  *exec.Cmd     // nil when it doesn't run
		done chan struct{} // closed when cmd was waited for
	}
}

// newProcess prepares a server whose log goes to <dir>/<name>.log.
func newProcess(dir, name, binary string, ports []port) *Process {
	return &Process{name: name, binary: binary, ports: ports, logPath: filepath.Join(dir, name+".log")}
}

// Start runs the server and returns when it answers requests. It is an error
// if it runs already.
func (p *Process) Start() error {
	done, err := p.launch()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	if err := p.awaitReady(ctx, done); err != nil {
		p.Kill()
		return fmt.Errorf("start %s: %w\n%s", p.name, err, p.Log())
	}
	return nil
}

func (p *Process) launch() (chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd != nil {
		return nil, fmt.Errorf("start %s: it runs already", p.name)
	}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(p.binary, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = p.env
	cmd.Dir = filepath.Dir(p.logPath)
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	done := make(chan struct{})
	p.mu.cmd, p.mu.done = cmd, done
	go func() {
		cmd.Wait()
		p.mu.Lock()
		p.mu.cmd = nil
		p.mu.Unlock()
		close(done)
	}()
	return done, nil
}

func (p *Process) awaitReady(ctx context.Context, done <-chan struct{}) error {
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return errors.New("the process ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s: %w", readyWithin, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop sends a signal, usually SIGTERM, and waits until the process has ended;
// one that takes too long is killed. Nothing happens if it doesn't run.
func (p *Process) Stop(signal syscall.Signal) error {
	done, err := p.signal(signal)
	if done == nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(stopWithin):
	}
	p.Kill()
	return fmt.Errorf("%s did not end within %s of %v and was killed", p.name, stopWithin, signal)
}

// Kill ends the process at once, also when it is paused, and waits for it.
func (p *Process) Kill() error {
	done, err := p.signal(syscall.SIGKILL)
	if done != nil {
		<-done
	}
	return err
}

// Pause stops the process from running, as a host that hangs; its connections
// stay open. When it returns no thread runs any more.
func (p *Process) Pause() error {
	_, err := p.signal(syscall.SIGSTOP)
	if pid := p.Pid(); err == nil && pid != 0 {
		awaitStopped(pid)
	}
	return err
}

// Resume lets a paused process go on.
func (p *Process) Resume() error {
	_, err := p.signal(syscall.SIGCONT)
	return err
}

// Pid is the process's id, 0 when it doesn't run.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd == nil {
		return 0
	}
	return p.mu.cmd.Process.Pid
}

// signal returns the channel that closes at the end of the process that was
// signalled; nil if none runs.
func (p *Process) signal(signal syscall.Signal) (<-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd == nil {
		return nil, nil
	}
	err := p.mu.cmd.Process.Signal(signal)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return nil, fmt.Errorf("send %v to %s: %w", signal, p.name, err)
	}
	return p.mu.done, nil
}

// Close kills the process and returns its ports back. It can't start again.
func (p *Process) Close() error {
	err := p.Kill()
	releasePorts(p.ports)
	p.ports = nil
	return err
}

// maxLog bounds what Log returns, in bytes.
const maxLog = 64 << 10

// Log returns the end of what the server wrote.
func (p *Process) Log() string {
	data, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	if len(data) > maxLog {
		data = data[len(data)-maxLog:]
	}
	return string(data)
}
