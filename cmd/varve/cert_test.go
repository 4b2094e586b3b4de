package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCertificates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	wants(t, command(t, "", "cert create-agent agent-1 --host localhost --dir", dir), exitNotFound, "varve cert create-ca")
	wants(t, command(t, "", "cert create-ca --days 400 --dir", dir), exitOK, "wrote", "ca.key")
	wants(t, command(t, "", "cert create-ca --dir", dir), exitUsage, "--replace")
	wants(t, command(t, "", "cert create-agent agent-1 --host localhost,10.0.0.1 --dir", dir), exitOK)
	wants(t, command(t, "", "cert create-agent agent-1 --host localhost --dir", dir), exitUsage, "--replace")
	wants(t, command(t, "", "cert create-agent agent-1 --host b --replace --dir", dir), exitOK)
	wants(t, command(t, "", "cert create-agent agent-2 --dir", dir), exitUsage, "--host is required")
	wants(t, command(t, "", "cert create-client alice --days 30 --dir", dir), exitOK)
	wants(t, command(t, "", "cert create-client ca --dir", dir), exitUsage, "the authority's name")
	wants(t, command(t, "", "cert create-client ../alice --dir", dir), exitUsage, "without slashes")
	wants(t, command(t, "", "cert create-client bob --days 401 --dir", dir), exitUsage, "longer than its authority")
	wants(t, command(t, "", "cert create-client bob --days 0 --dir", dir), exitUsage, "--days is 0")
	for file, mode := range map[string]os.FileMode{"ca.key": 0o600, "agent-1.key": 0o600, "alice.key": 0o600, "alice.crt": 0o644, "ca.crt": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	wants(t, command(t, "", "cert show", filepath.Join(dir, "agent-1.crt"), filepath.Join(dir, "alice.crt"), filepath.Join(dir, "ca.crt")), exitOK,
		"CN=agent-1", "server, client", "(in 29 days)", "authority")
	wants(t, command(t, "", "cert show", filepath.Join(dir, "alice.key")), exitFailed, "no certificate in PEM")
	if err := os.Chmod(filepath.Join(dir, "ca.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "cert create-client carol --dir", dir), exitFailed, "others can read")
	if all, err := os.ReadDir(dir); err != nil || len(all) != 6 {
		t.Errorf("%v, %v", all, err)
	}
	for _, c := range []string{"cert", "cert create-ca"} {
		if out := must(t, "", c+" --help"); !strings.Contains(out, "ca.key") {
			t.Errorf("%s --help: %s", c, out)
		}
	}
}
