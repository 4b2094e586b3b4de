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
	for name, mode := range map[string]os.FileMode{"usr/bin/varve": 0o755, "bin/sh": 0o755} {
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

// The packages please lintian, and rpm's own tools can read the rpm.
func TestPackagesAreSound(t *testing.T) {
	need(t, "lintian", "rpm")
	dist := built(t, "1.2.3")
	if out := run(t, "lintian", "--allow-root", only(t, filepath.Join(dist, "*.deb"))); strings.TrimSpace(out) != "" {
		t.Errorf("lintian: %s", out)
	}
	rpm := only(t, filepath.Join(dist, "*.rpm"))
	run(t, "rpm", "-K", "--nosignature", rpm)
	list := run(t, "rpm", "-qp", "--list", rpm) + run(t, "rpm", "-qp", "--configfiles", rpm) + run(t, "rpm", "-qp", "--scripts", rpm)
	for _, want := range []string{"/usr/bin/varve", "/usr/lib/systemd/system/varve.service", "/usr/share/man/man1/varve.1.gz", "/etc/varve/varve.yaml", "systemd-sysusers"} {
		if !strings.Contains(list, want) {
			t.Errorf("the rpm lacks %s:\n%s", want, list)
		}
	}
}

// need fails the test if a tool is missing.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing (Debian's packages lintian, rpm, debootstrap, systemd-container)", tool)
		}
	}
}

// etcdProgram returns the file of etcd's server, from the cache of the product's tests.
func etcdProgram(t *testing.T) string {
	t.Helper()
	for _, line := range strings.Split(run(t, "go", "run", "-C", "..", "./internal/testserver/cmd/servers"), "\n") {
		if name, path, _ := strings.Cut(line, " "); name == "etcd" {
			return path
		}
	}
	t.Fatal("no etcd")
	return ""
}

const etcdUnit = `[Service]
Type=notify
ExecStart=/usr/local/bin/etcd --data-dir=/var/lib/etcd --name=default
`

// checkUnit has a script run at the end of the boot, and switches the machine off.
const checkUnit = `[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /check.sh
StandardOutput=file:/check.log
StandardError=inherit
ExecStopPost=/bin/sh -c 'echo "result: $SERVICE_RESULT" >>/check.log; systemctl poweroff --no-block'
TimeoutStartSec=180
[Install]
WantedBy=default.target
`

// A Debian that has booted with systemd: the deb is installed, run, upgraded, taken off and purged, as docs/install.md has it.
func TestPackageUnderSystemd(t *testing.T) {
	need(t, "debootstrap", "systemd-nspawn")
	root := filepath.Join(t.TempDir(), "debian")
	run(t, "debootstrap", "--variant=minbase", "--include=adduser,systemd,systemd-sysv,dbus", "stable", root)
	run(t, "cp", only(t, filepath.Join(built(t, "1.2.3"), "*.deb")), filepath.Join(root, "older.deb"))
	run(t, "cp", only(t, filepath.Join(built(t, "1.3.0"), "*.deb")), filepath.Join(root, "newer.deb"))
	run(t, "cp", etcdProgram(t), filepath.Join(root, "usr/local/bin/etcd"))
	run(t, "cp", "testdata/check.sh", root)
	for name, content := range map[string]string{"etcd": etcdUnit, "check": checkUnit} {
		if err := os.WriteFile(filepath.Join(root, "etc/systemd/system", name+".service"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "systemctl", "--root="+root, "--quiet", "enable", "check.service")

	boot := exec.CommandContext(t.Context(), "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--private-network", "--link-journal=no",
		fmt.Sprintf("--machine=varve-packaging-%d", os.Getpid()), "--directory="+root)
	boot.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1") // newer systemd doesn't boot with the older one
	console, err := boot.CombinedOutput()
	said, readErr := os.ReadFile(filepath.Join(root, "check.log"))
	if err != nil || readErr != nil || !strings.HasSuffix(string(said), "result: success\n") {
		t.Errorf("%v, %v\n%s\nconsole:\n%s", err, readErr, said, console)
	}
}
