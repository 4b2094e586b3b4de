package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"varve/auth/sasl"
)

// profilesIn makes the test's own file of profiles.
func profilesIn(t *testing.T) (file string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv(profileVariable, "")
	return filepath.Join(dir, "varve", "config.yaml")
}

// editor makes a program that edits a file as a user would.
func editor(t *testing.T, script string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VISUAL", file+" --an-argument")
}

func TestProfiles(t *testing.T) {
	file := profilesIn(t)
	t.Setenv("TMPDIR", t.TempDir()) // where a failed edit leaves its text
	wants(t, command(t, "", "profile list"), exitOK, "NAME")
	wants(t, command(t, "", "profile create prod --brokers b1:9093,b2 --user alice --password-file secret --tls-ca ca.crt --http b1:9644"), exitOK, "profile prod was created")
	wants(t, command(t, "", "profile create test --brokers localhost:9092"), exitOK)
	wants(t, command(t, "", "profile create test --brokers localhost:9092"), exitUsage, "--replace")
	wants(t, command(t, "", "profile create test --brokers localhost:9094 --replace"), exitOK)
	wants(t, command(t, "", "profile list"), exitOK, "*  prod  b1:9093,b2:9092  b1:9644  yes  SCRAM-SHA-512  alice", "test  localhost:9094   -        no   -              -")
	wants(t, command(t, "", "profile use test"), exitOK, "test is the current profile")
	wants(t, command(t, "", "profile list --json"), exitOK, `"password_file": "/`, `"current": true`)
	wants(t, command(t, "", "profile use nobody"), exitNotFound, `no profile "nobody"`)
	wants(t, command(t, "", "profile create none --brokers b"), exitUsage, "means to use none")
	wants(t, command(t, "", "profile create a/b"), exitUsage, "letters, digits")
	wants(t, command(t, "", "profile create x --user u --sasl md5"), exitUsage, `sasl is "md5": must be SCRAM-SHA-512`)
	wants(t, command(t, "", "profile create x --sasl plain"), exitUsage, "sasl needs a user")
	wants(t, command(t, "", "profile create x --tls-cert c"), exitUsage, "tls-cert and tls-key need each other")
	wants(t, command(t, "", "profile create x --user u --password-file -"), exitUsage, "standard input")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}

	editor(t, `sed -i 's/localhost:9094/localhost:9095/; s/^current:.*/current: prod/' "$2"`)
	wants(t, command(t, "", "profile edit"), exitOK)
	wants(t, command(t, "", "profile list"), exitOK, "*  prod", "localhost:9095")
	editor(t, `echo 'colour: red' >> "$2"`)
	wants(t, command(t, "", "profile edit"), exitUsage, "field colour not found", "stay as they were")
	editor(t, "exit 3")
	wants(t, command(t, "", "profile edit"), exitFailed, "exit status 3")
	wants(t, command(t, "", "profile list"), exitOK, "*  prod", "localhost:9095")
	wants(t, command(t, "", "profile delete prod"), exitOK)
	wants(t, command(t, "", "profile delete prod"), exitNotFound)
	if out := must(t, "", "profile list"); strings.Contains(out, "*") || strings.Contains(out, "prod") {
		t.Errorf("after the current profile was deleted: %s", out)
	}
}

// A file with a password that others can read is refused, and no output has the password.
func TestPasswordsInProfiles(t *testing.T) {
	file := profilesIn(t)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("current: a\nprofiles:\n- {name: a, user: alice, password: hunter2}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "profile list"), exitUsage, "others can read")
	wants(t, command(t, "", "topic list"), exitUsage, "others can read")
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"profile list", "profile list --json"} {
		if out := must(t, "", line); strings.Contains(out, "hunter2") || !strings.Contains(out, "alice") {
			t.Errorf("%s: %s", line, out)
		}
	}
}

// Flags override the environment, which overrides the profile; the password of another user
// isn't taken from a profile.
func TestWhatAProfileGives(t *testing.T) {
	profilesIn(t)
	must(t, "", "profile create prod --brokers b1:9093 --user alice --password-file /secret --sasl plain --tls-ca /ca.crt")
	p, err := chosenProfile("")
	if err != nil || p.Name != "prod" {
		t.Fatalf("%+v, %v", p, err)
	}
	bob := connection{user: "bob"}.over(p)
	if bob.passwordFile != "" || bob.mechanism != "" || bob.ca != "/ca.crt" {
		t.Errorf("another user gets %+v", bob)
	}
	alice := connection{mechanism: sasl.ScramSHA256}.over(p)
	if alice.user != "alice" || alice.passwordFile != "/secret" || alice.saslMechanism() != sasl.ScramSHA256 {
		t.Errorf("the profile's user gets %+v", alice)
	}
	if p, err := chosenProfile(noProfileName); err != nil || p.Name != "" {
		t.Errorf("%+v, %v", p, err)
	}
	t.Setenv(profileVariable, "other")
	if _, err := chosenProfile(""); exitCode(err) != exitNotFound {
		t.Error(err)
	}
	if p, err := chosenProfile("prod"); err != nil || p.Name != "prod" {
		t.Errorf("%+v, %v", p, err)
	}
}

// A cluster at other addresses gets nothing of the current profile, least of all its password.
func TestOthersGetNoPassword(t *testing.T) {
	profilesIn(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "", "profile create prod --brokers b1:9093,b2:9093 --user alice --password-file", secret)
	for _, c := range []struct {
		kafkaFlags
		variable string
		login    bool
	}{
		{kafkaFlags{timeout: 1}, "", true},
		{kafkaFlags{timeout: 1, brokers: "b2:9093"}, "", true},
		{kafkaFlags{timeout: 1, brokers: "b2:9093,b3:9093"}, "", false},
		{kafkaFlags{timeout: 1}, "b1:9092", false},
		{kafkaFlags{timeout: 1, brokers: "b3:9093", conn: connection{profile: "prod"}}, "", true},
		{kafkaFlags{timeout: 1, brokers: "b3:9093", conn: connection{user: "bob", passwordFile: secret}}, "", true},
	} {
		t.Setenv(brokersVariable, c.variable)
		target, err := c.target()
		if err != nil || (target.sasl != nil) != c.login {
			t.Errorf("%+v: %+v, %v", c.kafkaFlags, target, err)
		}
	}
}

// Completion asks for no password.
func TestCompletionAsksForNothing(t *testing.T) {
	quiet := connection{user: "alice", quiet: true}
	if _, err := quiet.sasl(); exitCode(err) != exitUsage {
		t.Error(err)
	}
}
