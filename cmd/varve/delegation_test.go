package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"varve/agent"
)

// issues has the first listener of an agent authenticate users, of whom admin is the first, and the
// agent make delegation tokens.
func issues(t *testing.T, dir string) func(*agent.Config) {
	t.Helper()
	for name, content := range map[string]string{"secret": "0123456789abcdef\n", "password": "hunter2\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(c *agent.Config) {
		c.Listeners[0] = agent.Listener{Name: "USERS", Bind: "127.0.0.1:0", Protocol: "SASL_PLAINTEXT"}
		c.Listeners[1].Bind = "127.0.0.1:0"
		c.Security.BootstrapUser = "admin:hunter2"
		c.Security.Tokens.SecretFile = filepath.Join(dir, "secret")
	}
}

// Delegation tokens are created, listed, renewed and deleted, and commands log in by one, by flags
// or a profile.
func TestDelegationTokens(t *testing.T) {
	profilesIn(t)
	dir := t.TempDir()
	a := startAgent(t, issues(t, dir))
	admin := " --user admin --password-file " + filepath.Join(dir, "password")
	hmac := filepath.Join(dir, "hmac")
	must(t, "", "topic create orders"+admin)

	var made tokenRow
	if err := json.Unmarshal([]byte(must(t, "", "token create --renewer bob --renewer User:CN=x,O=y --max-lifetime 2h --json"+admin)), &made); err != nil {
		t.Fatal(err)
	}
	if made.Owner != "User:admin" || made.Requester != "User:admin" || strings.Join(made.Renewers, " ") != "User:bob User:CN=x,O=y" || made.Max.Sub(made.Issued).Hours() != 2 || len(made.HMAC) != 88 {
		t.Fatalf("%+v", made)
	}
	wants(t, command(t, "", "token create"+admin), exitOK, `ScramLoginModule required username="`, `tokenauth="true"`, "sasl.mechanism=SCRAM-SHA-512")
	r := command(t, "", "token create --owner alice --hmac-file "+hmac+admin)
	wants(t, r, exitOK, "User:alice", "--password-file "+hmac+" --token")
	content, err := os.ReadFile(hmac)
	if err != nil || strings.Contains(r.out, strings.TrimSpace(string(content))) {
		t.Errorf("%v; the HMAC is shown:\n%s", err, r.out)
	}
	id := strings.Fields(r.out)[1]
	byToken := " --user " + id + " --password-file " + hmac + " --token"
	if out := must(t, "", "topic list"+byToken); !strings.Contains(out, "orders") {
		t.Error(out)
	}
	must(t, "", "topic list --sasl scram-sha-256"+byToken)
	wants(t, command(t, "", "topic list"+strings.TrimSuffix(byToken, " --token")), exitFailed, "if "+id+" is the id of a delegation token, --token says so")
	wants(t, command(t, "", "topic list --token --user "+id+" --password-file "+filepath.Join(dir, "password")), exitFailed, "its HMAC is another one")
	list := must(t, "", "token list"+admin)
	if strings.Count(list, "\n") != 4 || strings.Contains(list, made.HMAC) || !strings.Contains(must(t, "", "token list --hmac"+admin), made.HMAC) {
		t.Error(list)
	}
	if out := must(t, "", "token list bob --json"+admin); !strings.Contains(out, made.ID) || strings.Contains(out, id) || strings.Contains(out, "hmac") {
		t.Error(out)
	}
	wants(t, command(t, "", "token renew "+made.ID+" --for 1h"+admin), exitOK, "token "+made.ID+" expires at")
	wants(t, command(t, "", "token renew nothing"+admin), exitNotFound, "there is no such token")
	wants(t, command(t, "", "token expire "+made.ID+" --in 10m"+admin), exitOK, "expires at")
	wants(t, command(t, "", "token expire "+made.ID+admin), exitOK, "was deleted")
	wants(t, command(t, "", "token renew "+id+admin), exitFailed, "only the token's owner and its renewers may")
	wants(t, command(t, "", "token list"+byToken), exitFailed, "log in with a password")
	wants(t, command(t, "", "token create --renewer :"+admin), exitUsage, "want User:NAME")
	wants(t, command(t, "", "token create --renewer Group:x"+admin), exitFailed, "INVALID_PRINCIPAL_TYPE", "the owner must be User:name")
	wants(t, command(t, "", "token create --max-lifetime -1s"+admin), exitUsage, "--max-lifetime is -1s")
	wants(t, command(t, "", "token renew x --for -1s"+admin), exitUsage, "--for is -1s")
	wants(t, command(t, "", "token expire x --in -1s"+admin), exitUsage, "--in is -1s")

	count := func() int { return strings.Count(must(t, "", "token list"+admin), "\n") }
	before := count()
	wants(t, command(t, "", "token create --hmac-file "+hmac+admin), exitUsage, hmac+" exists; --replace replaces it")
	wants(t, command(t, "", "token create --hmac-file "+filepath.Join(dir, "none", "hmac")+admin), exitFailed, "--hmac-file: ")
	wants(t, command(t, "", "token create --replace --hmac-file "+dir+admin), exitUsage, dir+" is a directory")
	if same, err := os.ReadFile(hmac); err != nil || string(same) != string(content) || count() != before {
		t.Errorf("a refused command made a token, or wrote the file: %v", err)
	}
	other := filepath.Join(dir, "other")
	for _, replace := range []string{"", " --replace"} {
		must(t, "", "token create --hmac-file "+other+replace+admin)
	}
	if r := command(t, "", "token create --max-lifetime 1h"+admin); strings.Contains(r.out, "unless it is renewed") {
		t.Error(r.out)
	}
	wants(t, command(t, "", "token create --max-lifetime 72h"+admin), exitOK, ", unless it is renewed")

	wants(t, command(t, "", "topic list --token --password-file "+hmac), exitUsage, "a password needs a user")
	wants(t, command(t, "", "topic list --sasl PLAIN"+byToken), exitUsage, "a delegation token needs SCRAM-SHA-512 or SCRAM-SHA-256")
	wants(t, command(t, "", "topic list --user "+id+" --password-file "+hmac), exitFailed, "authentication with")
	wants(t, command(t, "", "topic list --token"+admin), exitFailed, "authentication with")
	must(t, "", "profile create job --brokers "+a.kafka+byToken)
	if out := must(t, "", "topic list"); !strings.Contains(out, "orders") {
		t.Error(out)
	}
	must(t, "", "topic list --user admin --password-file "+filepath.Join(dir, "password"))
}

// Who changes a password, or deletes a user, is told of the tokens that stay.
func TestTokensOutliveTheirUser(t *testing.T) {
	profilesIn(t)
	dir := t.TempDir()
	startAgent(t, issues(t, dir))
	admin := " --user admin --password-file " + filepath.Join(dir, "password")
	must(t, "pw\n", "user create alice"+admin)
	r := command(t, "pw2\n", "user passwd alice"+admin)
	if wants(t, r, exitOK, "password of user alice changed"); strings.Contains(r.out, "token") {
		t.Error(r.out)
	}
	hmac := filepath.Join(dir, "hmac")
	id := strings.Fields(must(t, "", "token create --owner alice --hmac-file "+hmac+admin))[1]
	must(t, "", "token create --renewer alice"+admin) // not alice's
	wants(t, command(t, "pw3\n", "user passwd alice"+admin), exitOK, "alice still has 1 delegation token, which is good until it expires", "'varve token expire ID --user alice'")
	wants(t, command(t, "", "user delete alice"+admin), exitOK, "user alice deleted", "alice still has 1 delegation token, which is good until it expires", "'varve user create alice'")
	must(t, "", "topic list --token --user "+id+" --password-file "+hmac)

	// What it says works.
	password := filepath.Join(dir, "password4")
	if err := os.WriteFile(password, []byte("pw4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "pw4\n", "user create alice"+admin)
	must(t, "", "token create --owner alice"+admin)
	wants(t, command(t, "pw4\n", "user passwd alice"+admin), exitOK, "alice still has 2 delegation tokens, which are good until they expire")
	for _, row := range decode[[]tokenRow](t, must(t, "", "token list alice --json"+admin)) {
		if row.Owner == "User:alice" && row.ID != id {
			must(t, "", "token expire "+row.ID+" --user alice --password-file "+password)
		}
	}
	must(t, "", "token expire "+id+" --user alice --password-file "+password)
	if out := must(t, "", "user delete alice"+admin); strings.Contains(out, "token") {
		t.Error(out)
	}
}

// A password of a profile isn't taken for a token's, nor the other way around.
func TestTokensOfProfiles(t *testing.T) {
	token, password := &profile{User: "id", PasswordFile: "/hmac", Token: true}, &profile{User: "id", PasswordFile: "/secret"}
	for name, x := range map[string]struct {
		c     connection
		p     *profile
		token bool
		file  string
	}{
		"token":               {connection{}, token, true, "/hmac"},
		"the same user":       {connection{user: "id"}, token, true, "/hmac"},
		"another user":        {connection{user: "bob"}, token, false, ""},
		"a token, a password": {connection{user: "id", token: true}, password, true, ""},
		"a password":          {connection{}, password, false, "/secret"},
	} {
		if got := x.c.over(x.p); got.token != x.token || got.passwordFile != x.file {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
