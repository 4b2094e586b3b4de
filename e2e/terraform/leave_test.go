//go:build full

package terraform

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An agent's data is deleted when it leaves only if it was drained. If it wasn't running, its disk may have
// the last copy of records; then it stays with force_destroy as well, which is about the destruction of the whole cluster.
func TestLeaveKeepsWhatWasNotDrained(t *testing.T) {
	script, err := os.ReadFile("../../terraform/modules/cluster/scripts/leave.sh")
	if err != nil {
		t.Fatal(err)
	}
	purge, err := os.ReadFile("../../terraform/modules/cluster/scripts/purge.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name, active, drain string
		disk, kept, fails   bool // disk: its data is on a disk of its own
	}{
		{"drained", "exit 0", "exit 0", false, false, false},
		{"drained, with a disk", "exit 0", "exit 0", true, false, false},
		{"doesn't run", "exit 3", "exit 0", false, true, false},
		{"can't be drained", "exit 0", "exit 1", false, true, true},
	} {
		dir := t.TempDir()
		write := func(name, text string) {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if x.disk {
			write("data/.mount", "")
			if out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", dir+"/data").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			t.Cleanup(func() { _ = exec.Command("umount", dir+"/data").Run() })
		}
		write("etc/started", "")
		write("data/journal/1.wal", "records")
		write("bin/systemctl", "#!/bin/sh\ncase \"$*\" in *is-active*) "+x.active+";; esac\n")
		write("bin/varve", "#!/bin/sh\ncase \"$2\" in turn) "+x.drain+";; esac\n")
		elsewhere := strings.NewReplacer("/etc/", dir+"/etc/", "/etc/varve", dir+"/etc", "/var/lib/varve", dir+"/data", "/usr/local/lib", dir+"/local")
		for _, program := range []string{"dpkg", "rpm", "id"} {
			write("bin/"+program, "#!/bin/sh\nexit 1\n") // nothing is installed, and nobody is there
		}
		write("leave.sh", strings.NewReplacer("/etc/varve", dir+"/etc", "/var/lib/varve", dir+"/data").Replace(string(script)))
		write("purge.sh", elsewhere.Replace(string(purge)))
		run := exec.Command("sh", filepath.Join(dir, "leave.sh"), "3", "one", "1m", "https://other:9644")
		run.Env = append(os.Environ(), "PATH="+dir+"/bin:"+os.Getenv("PATH"))
		out, err := run.CombinedOutput()
		_, gone := os.Stat(filepath.Join(dir, "data/journal/1.wal"))
		if (err != nil) != x.fails || (gone == nil) != x.kept {
			t.Errorf("%s: %v, kept %v: %s", x.name, err, gone == nil, out)
		}
		if err != nil {
			continue // Terraform goes no further
		}
		run = exec.Command("sh", filepath.Join(dir, "purge.sh"), "true")
		run.Env = append(os.Environ(), "PATH="+dir+"/bin:"+os.Getenv("PATH"))
		out, err = run.CombinedOutput()
		if _, gone = os.Stat(filepath.Join(dir, "data/journal/1.wal")); err != nil || (gone == nil) != x.kept {
			t.Errorf("%s, after purge.sh true: %v, kept %v: %s", x.name, err, gone == nil, out)
		}
	}
}
