//go:build full

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The unit is one that systemd understands, and lets in as little as can be.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is missing (Debian's package systemd)")
	}
	root := t.TempDir()
	for name, mode := range map[string]os.FileMode{"usr/bin/varve": 0o755, "bin/kill": 0o755} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	unit := filepath.Join(root, "usr/lib/systemd/system/varve.service")
	content, err := os.ReadFile("files/varve.service")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(unit), 0o755)
	}
	if err == nil {
		err = os.WriteFile(unit, content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--root="+root, "--no-pager", "varve.service").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Overall exposure level") {
		t.Fatalf("%v\n%s", err, out)
	}
	level := ""
	if fields := strings.Fields(string(out)[strings.Index(string(out), "Overall exposure level"):]); len(fields) > 5 {
		level = fields[5]
	}
	var exposure float64
	if _, err := fmt.Sscan(level, &exposure); err != nil || exposure > 2 {
		t.Errorf("exposure %q, %v\n%s", level, err, out)
	}
}

// The deb pleases lintian, is installed into a clean Debian, upgraded with the settings kept, and purged with
// data kept; rpm's own tools can read the rpm.
func TestPackagesAreInstalled(t *testing.T) {
	for _, tool := range []string{"lintian", "rpm", "debootstrap"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing (Debian's package of that name)", tool)
		}
	}
	older, newer := built(t, "1.2.3"), built(t, "1.3.0")
	deb, next := only(t, filepath.Join(older, "*.deb")), only(t, filepath.Join(newer, "*.deb"))
	if out := run(t, "lintian", "--allow-root", deb); strings.TrimSpace(out) != "" {
		t.Errorf("lintian: %s", out)
	}
	rpm := only(t, filepath.Join(older, "*.rpm"))
	run(t, "rpm", "-K", "--nosignature", rpm)
	list := run(t, "rpm", "-qp", "--list", rpm) + run(t, "rpm", "-qp", "--configfiles", rpm) + run(t, "rpm", "-qp", "--scripts", rpm)
	for _, want := range []string{"/usr/bin/varve", "/usr/lib/systemd/system/varve.service", "/usr/share/man/man1/varve.1.gz", "/etc/varve/varve.yaml", "systemd-sysusers"} {
		if !strings.Contains(list, want) {
			t.Errorf("the rpm lacks %s:\n%s", want, list)
		}
	}

	root := filepath.Join(t.TempDir(), "debian")
	run(t, "debootstrap", "--variant=minbase", "--include=adduser,systemd", "stable", root)
	in := func(args ...string) string { t.Helper(); return run(t, "chroot", append([]string{root}, args...)...) }
	install := func(deb string) {
		t.Helper()
		run(t, "cp", deb, filepath.Join(root, "varve.deb"))
		in("dpkg", "--install", "--force-confold", "/varve.deb")
	}
	install(deb)
	if out := in("varve", "version"); !strings.HasPrefix(out, "varve 1.2.3\n") {
		t.Error(out)
	}
	if out := in("stat", "--format=%A %U %G", "/etc/varve", "/etc/varve/varve.yaml", "/var/lib/varve"); out != "drwxr-x--- root varve\n-rw-r----- root varve\ndrwxr-x--- varve varve\n" {
		t.Errorf("rights:\n%s", out)
	}
	settings, journal := filepath.Join(root, "etc/varve/varve.yaml"), filepath.Join(root, "var/lib/varve/journal")
	if err := os.WriteFile(settings, []byte("broker_id: 7\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, []byte("records"), 0o640); err != nil {
		t.Fatal(err)
	}
	install(next)
	if out := in("varve", "version"); !strings.HasPrefix(out, "varve 1.3.0\n") {
		t.Error(out)
	}
	if b, err := os.ReadFile(settings); err != nil || string(b) != "broker_id: 7\n" {
		t.Errorf("the settings after an upgrade: %s, %v", b, err)
	}
	if out := in("dpkg", "--purge", "varve"); !strings.Contains(out, "/var/lib/varve is kept") {
		t.Errorf("purged:\n%s", out)
	}
	if _, err := os.Stat(settings); !os.IsNotExist(err) {
		t.Errorf("the settings after a purge: %v", err)
	}
	if b, err := os.ReadFile(journal); err != nil || string(b) != "records" {
		t.Errorf("the journal after a purge: %s, %v", b, err)
	}
}
