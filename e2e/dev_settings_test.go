package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// output runs a command to its end, and returns what it wrote to standard output.
func output(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("varve %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// advertisedAt asks a broker what it tells clients.
func advertisedAt(t *testing.T, addr string) string {
	t.Helper()
	var info struct {
		Brokers []struct{ Address string }
	}
	if err := json.Unmarshal([]byte(output(t, "cluster", "info", "--json", "-b", addr)), &info); err != nil || len(info.Brokers) != 1 {
		t.Fatalf("%v: %+v", err, info)
	}
	return info.Brokers[0].Address
}

// dev starts varve dev, and waits until it is ready.
func dev(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	http := freeAddr(t)
	cmd := exec.Command(binary, append([]string{"dev", "--data", t.TempDir(), "--http-listen", http}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	p := start(t, cmd)
	awaitPage(t, p, "http://"+http+"/readyz")
	return p
}

// TestDevIsReached: on all interfaces each client is told the address at which it came in, also
// for coordinators; a name is told as it was given, an advertised address as well.
func TestDevIsReached(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	dev(t, nil, "--kafka-listen", ":"+port)
	hosts := []string{"127.0.0.1", "127.0.0.2"}
	for _, host := range hosts {
		at := net.JoinHostPort(host, port)
		if got := advertisedAt(t, at); got != at {
			t.Errorf("a client of %s is told %s", at, got)
		}
		output(t, "produce", "reached", "--file", "/proc/self/comm", "-b", at)
		if out := output(t, "consume", "reached", "--group", "g-"+host, "-b", at); out == "" {
			t.Errorf("a group at %s reads nothing", at)
		}
	}
	_, port, _ = net.SplitHostPort(freeAddr(t))
	dev(t, nil, "--kafka-listen", "localhost:"+port)
	if got := advertisedAt(t, "127.0.0.1:"+port); got != "localhost:"+port {
		t.Errorf("localhost is told as %s", got)
	}
	_, port, _ = net.SplitHostPort(freeAddr(t))
	dev(t, []string{"VARVE_LISTENERS=[{name: PLAINTEXT, bind: '0.0.0.0:" + port + "', advertised: 'x.example:1'}]"}, "--kafka-advertised", "localhost:"+port)
	if got := advertisedAt(t, "127.0.0.1:"+port); got != "localhost:"+port {
		t.Errorf("--kafka-advertised is told as %s", got)
	}
}

// TestDevTakesSettings: from a file, the environment and flags; SIGHUP reads them again, and
// no signal of these ends it.
func TestDevTakesSettings(t *testing.T) {
	t.Parallel()
	kafka, file := freeAddr(t), filepath.Join(t.TempDir(), "varve.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("kafka.default_partitions: 5\nlog: {level: warn}\njournal: {reserve_bytes: 1MiB}\n")
	p := dev(t, []string{"VARVE_LOG_FORMAT=json", "VARVE_SERVICE_HOST=10.0.0.1", "VARVE_PORT=tcp://10.0.0.1:9092"}, "--kafka-listen", kafka, "--config", file, "--rack", "r1")
	output(t, "produce", "five", "--file", "/proc/self/comm", "-b", kafka)
	if out := output(t, "topic", "describe", "five", "-b", kafka); !strings.Contains(out, "5 partitions") {
		t.Errorf("the file says 5 partitions:\n%s", out)
	}
	if strings.Contains(p.log.String(), `"level":"INFO"`) {
		t.Error("info is logged at level warn")
	}
	says := func(text string) {
		t.Helper()
		poll(t, 10*time.Second, text, func() error {
			if !strings.Contains(p.log.String(), text) {
				return errors.New(p.log.String())
			}
			return nil
		})
	}
	write("kafka.default_partitions: 6\nlog: {level: info}\njournal: {reserve_bytes: 1MiB}\n")
	p.signal(syscall.SIGHUP)
	says(`"msg":"configuration reloaded","log.level":"info"`)
	says(`"settings":"kafka.default_partitions"`)
	write("log: {level: loud}\n")
	p.signal(syscall.SIGHUP)
	says("configuration not reloaded")
	p.signal(syscall.SIGUSR1)
	says(`"level":"debug","why":"SIGUSR1"`)
	p.signal(syscall.SIGUSR1)
	says(`"level":"info","why":"SIGUSR1"`)
	output(t, "produce", "five", "--file", "/proc/self/comm", "-b", kafka)
	p.stop()
}

// TestDevRefusals: what is in the way is named, with what to do.
func TestDevRefusals(t *testing.T) {
	t.Parallel()
	kafka, dir := freeAddr(t), t.TempDir()
	first := dev(t, nil, "--kafka-listen", kafka, "--data", dir)
	refused := func(code int, says string, cmd *exec.Cmd) {
		t.Helper()
		p := start(t, cmd)
		<-p.done
		if p.cmd.ProcessState.ExitCode() != code || !strings.Contains(p.log.String(), says) {
			t.Errorf("%v: exit code %d, not %q:\n%s", cmd.Args[1:], p.cmd.ProcessState.ExitCode(), says, p.log)
		}
	}
	refused(1, fmt.Sprintf("%s is in use by another 'varve dev' (pid %d); stop it", dir, first.cmd.Process.Pid), exec.Command(binary, "dev", "--data", dir, "--kafka-listen", freeAddr(t), "--http-listen", freeAddr(t)))
	refused(1, "cannot listen on "+kafka+": address in use; choose another with --kafka-listen", exec.Command(binary, "dev", "--data", t.TempDir(), "--kafka-listen", kafka, "--http-listen", freeAddr(t)))
	refused(2, `--data is "": must be a directory`, exec.Command(binary, "dev", "--data", ""))
	refused(2, "VARVE_RACKK names no setting; did you mean VARVE_RACK?", exec.Command("env", "VARVE_RACKK=x", binary, "dev"))
	refused(1, "needs at least 256", exec.Command("sh", "-c", "ulimit -n 100; exec "+binary+" dev --data "+t.TempDir()))
}
