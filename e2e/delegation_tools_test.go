//go:build full

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Kafka's own tool makes, shows, renews and deletes delegation tokens, and its console clients log
// in by one.
func TestKafkaToolsOfDelegationTokens(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "")
	lib := kafkaJars(t)
	java := func(class string, args ...string) []string {
		return append([]string{"-Xmx256m", "-cp", lib + "/*", class, "--bootstrap-server", s.saslOnTLS}, args...)
	}
	login := func(file, mechanism, jaas string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), file)
		text := fmt.Sprintf("security.protocol=SASL_SSL\nsasl.mechanism=%s\nssl.truststore.type=PEM\nssl.truststore.location=%s/ca.pem\nsasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required %s;\n", mechanism, s.dir, jaas)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	name, password, _ := strings.Cut(firstUser, ":")
	admin := login("admin.properties", "SCRAM-SHA-512", fmt.Sprintf("username=%q password=%q", name, password))
	tokens := func(config string, args ...string) string {
		t.Helper()
		return tool(t, "", "java", append(java("org.apache.kafka.tools.DelegationTokenCommand", "--command-config", config), args...)...)
	}
	out := tokens(admin, "--create", "--max-life-time-period", "3600000", "--renewer-principal", "User:bob", "--owner-principal", "User:job")
	// TOKENID HMAC OWNER REQUESTER RENEWERS ISSUEDATE EXPIRYDATE MAXDATE
	made := regexp.MustCompile(`(?m)^(\S{22})\s+(\S{88})\s+User:job\s+User:admin\s+\[User:bob\]\s`).FindStringSubmatch(out)
	if made == nil {
		t.Fatalf("created:\n%s", out)
	}
	id, hmac := made[1], made[2]
	// Without an owner the tool asks for the tokens of nobody, and gets none from Kafka, either.
	if out := tokens(admin, "--describe", "--owner-principal", "User:job"); !strings.Contains(out, id) || !strings.Contains(out, hmac) {
		t.Errorf("described:\n%s", out)
	}
	if out := tokens(admin, "--describe", "--owner-principal", "User:bob"); !strings.Contains(out, id) {
		t.Errorf("described for a renewer:\n%s", out)
	}
	if out := tokens(admin, "--describe", "--owner-principal", "User:nobody"); strings.Contains(out, id) {
		t.Errorf("described for somebody else:\n%s", out)
	}
	fails := func(want string, config string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "java", append(java("org.apache.kafka.tools.DelegationTokenCommand", "--command-config", config), args...)...)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v, without %q:\n%s", args, err, want, out)
		}
	}
	fails("DelegationTokenOwnerMismatchException", admin, "--renew", "--hmac", hmac, "--renew-time-period", "-1")
	in := lines(300)
	for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		as := login("token.properties", m, fmt.Sprintf("username=%q password=%q tokenauth=\"true\"", id, hmac))
		tool(t, in, "java", java("org.apache.kafka.tools.ConsoleProducer", "--topic", m, "--command-config", as)...)
		out := tool(t, "", "java", java("org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", m, "--from-beginning", "--max-messages", "300", "--timeout-ms", "60000", "--command-config", as)...)
		if sorted(out) != sorted(in) {
			t.Errorf("%s: %d lines came back", m, strings.Count(out, "\n"))
		}
		fails("UnsupportedByAuthenticationException", as, "--describe")
	}
	if !strings.Contains(s.log.String(), "client.principal=User:job") {
		t.Error("the token's owner is not in the log")
	}
	output(t, "user", "create", "job", "--new-password-file", s.written(t, "password", "secret"), "-b", s.open)
	job := login("job.properties", "SCRAM-SHA-512", `username="job" password="secret"`)
	if out := tokens(job, "--renew", "--hmac", hmac, "--renew-time-period", "600000"); !strings.Contains(out, "Completed renew operation") {
		t.Errorf("renewed:\n%s", out)
	}
	if out := tokens(job, "--expire", "--hmac", hmac, "--expiry-time-period", "-1"); !strings.Contains(out, "Completed expire operation") {
		t.Errorf("expired:\n%s", out)
	}
	fails("DelegationTokenNotFoundException", job, "--renew", "--hmac", hmac, "--renew-time-period", "-1")
	if out := tokens(admin, "--describe", "--owner-principal", "User:job"); strings.Contains(out, id) {
		t.Errorf("left:\n%s", out)
	}
}

// written writes a file that only its owner can read.
func (s *secured) written(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
