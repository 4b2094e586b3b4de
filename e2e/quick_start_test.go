//go:build full

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestQuickStart runs the commands of README.md's section "Run it" as they are printed, in a clone of the repository. They
// use the default ports, so they get a network namespace of their own.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	clone := filepath.Join(t.TempDir(), "varve")
	tool(t, "", "git", "clone", "--quiet", "..", clone)
	space := fmt.Sprint("varve-quick-start-", os.Getpid())
	tool(t, "", "ip", "netns", "add", space)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", space).Run() })
	shell := func(line string) *exec.Cmd {
		cmd := exec.Command("ip", "netns", "exec", space, "sh", "-c", line)
		cmd.Dir = clone
		return cmd
	}
	if out, err := shell("ip link set lo up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	steps := printedSteps(t, filepath.Join(clone, "README.md"), "Run it")
	if len(steps) < 6 || steps[0] != "make run" {
		t.Fatalf("steps: %q", steps)
	}
	broker := start(t, shell(steps[0]))
	t.Cleanup(func() { // before start's own, which waits for all that write to the log
		pids, err := exec.Command("ip", "netns", "pids", space).Output()
		if err == nil {
			err = exec.Command("kill", append([]string{"-TERM"}, strings.Fields(string(pids))...)...).Run()
		}
		if err != nil {
			t.Error(err)
		}
	})
	poll(t, 5*time.Minute, "Varve is built and serves", func() error {
		select {
		case <-broker.done:
			t.Fatalf("%s ended", steps[0])
		default:
		}
		return shell("bin/varve ready").Run()
	})
	said := map[string]string{}
	for _, step := range steps[1:] {
		if strings.HasPrefix(step, "docker") {
			continue // e2e/containers runs the image
		}
		out, err := shell(step).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", step, err, out)
		}
		said[step] = string(out)
	}
	for step, want := range map[string]string{"bin/varve consume first": "hello\n", "bin/varve topic list": "first", "kcat -C -b 127.0.0.1:9092 -t first -e": "hello\nhello\n"} {
		if !strings.Contains(said[step], want) {
			t.Errorf("%s: %q, want %q", step, said[step], want)
		}
	}
}

// printedSteps returns the lines of the blocks of code in a section of a document.
func printedSteps(t *testing.T, document, section string) (steps []string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## "+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	for _, line := range strings.Split(rest, "\n") {
		if step, code := strings.CutPrefix(line, "    "); code {
			steps = append(steps, step)
		}
	}
	return steps
}
