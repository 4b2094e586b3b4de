package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// home is a user's directory, with profiles of its own.
type home struct {
	*testing.T
	dir string
}

// varve runs the program, and expects an exit code and texts in what it prints.
func (h home) varve(code int, line string, texts ...string) string {
	h.Helper()
	cmd := exec.Command(binary, strings.Fields(line)...)
	cmd.Dir, cmd.Env = h.dir, append(os.Environ(), "XDG_CONFIG_HOME="+h.dir)
	b, _ := cmd.CombinedOutput() // the exit code says it
	if got := cmd.ProcessState.ExitCode(); got != code {
		h.Errorf("varve %s: exit code %d, want %d: %s", line, got, code, b)
	}
	for _, text := range texts {
		if !strings.Contains(string(b), text) {
			h.Errorf("varve %s says nothing of %q: %s", line, text, b)
		}
	}
	return string(b)
}

func (h home) file(name, content string) {
	h.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(content), 0o600); err != nil {
		h.Fatal(err)
	}
}

// The program's own commands reach every kind of listener, by flags and by profiles, and say
// what to do when they don't fit.
func TestCommandsReachSecuredListeners(t *testing.T) {
	s := newSecured(t, "")
	h := home{t, t.TempDir()}
	h.file("password", "first secret\n")
	h.file("wrong", "second secret\n")
	ca := " --tls-ca " + s.dir + "/ca.pem"
	admin := " --user admin --password-file password"
	own := " --tls-cert " + s.dir + "/cert.pem --tls-key " + s.dir + "/key.pem"
	const list = "topic list --brokers "

	h.varve(0, list+s.open)
	h.varve(0, list+s.sasl+admin)
	h.varve(0, list+s.sasl+admin+" --sasl scram-sha-256")
	h.varve(0, list+s.sasl+admin+" --sasl PLAIN")
	h.varve(0, list+s.saslOnTLS+ca+admin)
	h.varve(0, list+s.tls+ca)
	h.varve(0, list+s.tls+ca+own)

	h.varve(1, list+s.saslOnTLS+ca+" --user admin --password-file wrong", "authentication with "+s.saslOnTLS+" failed", "--password-file")
	h.varve(2, list+s.saslOnTLS+ca+" --user admin", "user admin needs a password: --password-file")
	h.varve(1, list+s.saslOnTLS+ca, "may want", "--user")
	h.varve(1, list+s.saslOnTLS, "may want TLS")
	h.varve(1, list+s.saslOnTLS+" --tls"+admin, "authority that isn't trusted here; --tls-ca")
	h.varve(1, list+s.open+ca, "doesn't speak TLS")
	h.varve(1, list+s.open+admin, "doesn't authenticate with SASL; leave out --user")
	h.varve(2, list+s.tls+" --tls-ca nothing", "tls-ca", "nothing")
	h.varve(2, list+s.tls+ca+" --tls-cert "+s.dir+"/cert.pem", "tls-cert and tls-key need each other")

	h.varve(0, "profile create secured --http "+s.http+" --brokers "+s.saslOnTLS+ca+admin)
	h.varve(0, "topic create orders --partitions 2")
	h.varve(0, "topic list", "orders")
	h.varve(0, "cluster health", "is healthy")
	h.varve(0, "cluster status")
	h.varve(0, "user list", "admin")
	h.varve(0, "bench rawproduce --topic orders --duration 1s", "throughput")
	h.varve(0, "bench rawfetch --topic orders --duration 1s", "throughput")
	h.varve(0, "bench produce --topic orders --duration 1s --rate 100", "throughput")
	h.varve(0, "topic list --profile none --brokers "+s.open, "orders")
	h.varve(3, "topic list --profile other", `no profile "other"`)
}

// What 'varve cert' makes is enough for listeners, clients with certificates, and the
// connections between agents.
func TestOwnCertificates(t *testing.T) {
	h := home{t, t.TempDir()}
	h.varve(0, "cert create-ca")
	h.varve(0, "cert create-agent agent --host localhost,127.0.0.1")
	h.varve(0, "cert create-client alice")
	kafka, http := freeAddr(t), freeAddr(t)
	h.file("varve.yaml", `listeners:
- {name: CLIENTS, bind: "`+kafka+`", protocol: SSL, tls: {cert_file: `+h.dir+`/agent.crt, key_file: `+h.dir+`/agent.key, client_ca_file: `+h.dir+`/ca.crt, client_auth: required}}
`)
	p := run(t, "dev", "--config", h.dir+"/varve.yaml", "--data", t.TempDir(), "--http-listen", http)
	awaitPage(t, p, "http://"+http+"/readyz")
	at := " --brokers " + kafka + " --tls-ca ca.crt"
	h.varve(0, "topic create orders"+at+" --tls-cert alice.crt --tls-key alice.key")
	if log := p.log.String(); !strings.Contains(log, `client.principal="User:CN=alice"`) {
		t.Errorf("the topic was not created by alice: %s", log)
	}
	h.varve(1, "topic list"+at, "asks for a client's certificate (--tls-cert, --tls-key)")
}
