package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// releases has, by version, the directories of what tests have built.
var releases = map[string]string{}

// TestMain deletes what tests have built.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range releases {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// built returns a release of a version for this machine, which is built once.
func built(t *testing.T, version string) string {
	t.Helper()
	if releases[version] == "" {
		dir, err := os.MkdirTemp("", "varve-release-")
		if err != nil {
			t.Fatal(err)
		}
		build(t, version, dir)
		releases[version] = dir
	}
	return releases[version]
}

// build builds a release of a version for this machine.
func build(t *testing.T, version, out string) {
	t.Helper()
	r := release{root: "..", out: out, version: version, architectures: []string{runtime.GOARCH}}
	if err := r.build(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// only returns the one file that a pattern matches.
func only(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

// Two builds are the same bytes, and what they hold is what the packages promise.
func TestRelease(t *testing.T) {
	one, two := built(t, "1.2.3"), t.TempDir()
	build(t, "1.2.3", two)
	files, err := os.ReadDir(one)
	if err != nil || len(files) != 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	sums, err := os.ReadFile(filepath.Join(one, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		a, errA := os.ReadFile(filepath.Join(one, f.Name()))
		b, errB := os.ReadFile(filepath.Join(two, f.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: two builds differ: %v, %v", f.Name(), errA, errB)
		}
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(a), f.Name()); f.Name() != "SHA256SUMS" && !strings.Contains(string(sums), line) {
			t.Errorf("SHA256SUMS lacks %s", line)
		}
	}
	program := only(t, filepath.Join(one, "varve-1.2.3-linux-"+runtime.GOARCH))
	var version struct{ Version, Commit string }
	if err := json.Unmarshal([]byte(run(t, program, "version", "--json")), &version); err != nil || version.Version != "1.2.3" || len(version.Commit) != 12 {
		t.Errorf("%+v, %v", version, err)
	}
	var bill struct {
		Components []struct{ Name, Version, Purl string }
	}
	text, err := os.ReadFile(program + ".cdx.json")
	if err == nil {
		err = json.Unmarshal(text, &bill)
	}
	if err != nil || len(bill.Components) < 30 || !strings.Contains(string(text), "pkg:golang/go.etcd.io/etcd/client/v3@v") {
		t.Errorf("%d components, %v", len(bill.Components), err)
	}
	for _, c := range bill.Components {
		if c.Version == "" || c.Purl == "" {
			t.Errorf("component %+v", c)
		}
	}
}

// The settings that a package installs are accepted, but for what the user has to give.
func TestInstalledSettings(t *testing.T) {
	program := only(t, filepath.Join(built(t, "1.2.3"), "varve-1.2.3-linux-"+runtime.GOARCH))
	out, err := exec.Command(program, "config", "--config", "files/varve.yaml").CombinedOutput()
	if err == nil || strings.Count(string(out), "/etc/varve/access-key") != 1 || strings.Count(string(out), "/etc/varve/secret-key") != 1 || strings.Contains(string(out), "line ") {
		t.Errorf("%v\n%s", err, out)
	}
}
