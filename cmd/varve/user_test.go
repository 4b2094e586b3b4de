package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Users are created, changed and deleted; passwords come from standard input or a file, and are
// in no output.
func TestUsers(t *testing.T) {
	startAgent(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "hunter2\n", "user create alice"), exitOK, "user alice created: SCRAM-SHA-256 (4096 iterations), SCRAM-SHA-512 (4096 iterations)")
	wants(t, command(t, "", "user create bob --mechanism SCRAM-SHA-512 --iterations 8192 --new-password-file", secret), exitOK, "SCRAM-SHA-512 (8192 iterations)")
	wants(t, command(t, "x\n", "user create alice"), exitFailed, "create user alice: it exists already", "varve user passwd")
	wants(t, command(t, "", "user list"), exitOK, "alice", "bob", "SCRAM-SHA-512 (8192 iterations)")
	wants(t, command(t, "", "user list bob --json"), exitOK, `"user": "bob"`, `"iterations": 8192`)
	wants(t, command(t, "", "user list nobody"), exitNotFound, "user nobody: there is no such user")
	wants(t, command(t, "other", "user passwd bob --new-password-file -"), exitOK, "password of user bob changed: SCRAM-SHA-512 (4096 iterations)")
	wants(t, command(t, "other", "user passwd bob --mechanism SCRAM-SHA-256"), exitOK, "SCRAM-SHA-256 (4096 iterations), SCRAM-SHA-512 (4096 iterations)")
	wants(t, command(t, "other", "user passwd nobody"), exitNotFound, "no such user")
	wants(t, command(t, "", "user create carol"), exitUsage, "the password is empty")
	wants(t, command(t, strings.Repeat("x", 1025), "user create carol"), exitUsage, "1025 bytes")
	wants(t, command(t, "x", "user create carol --iterations 4095"), exitUsage, "--iterations is 4095")
	wants(t, command(t, "x", "user create carol --mechanism PLAIN"), exitUsage, `--mechanism "PLAIN"`)
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "user create carol --new-password-file", secret), exitFailed, "others can read")
	wants(t, command(t, "", "user delete alice nobody"), exitNotFound, "user alice deleted", "user nobody: there is no such user")
	wants(t, command(t, "", "user delete bob"), exitOK, "user bob deleted")
	if out := must(t, "", "user list --json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("left: %s", out)
	}
}
