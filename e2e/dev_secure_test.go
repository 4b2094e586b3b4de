package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// 'varve dev --secure' is secure from its first start, and its files are all that clients need,
// also after a restart at another address.
func TestDevSecure(t *testing.T) {
	h := home{t, t.TempDir()}
	data := filepath.Join(h.dir, "data")
	begin := func(kafka string) (*process, string) {
		http := freeAddr(t)
		p := run(t, "dev", "--secure", "--data", data, "--kafka-listen", kafka, "--http-listen", http)
		poll(t, 10*time.Second, "clients' files are written", func() error {
			if log := p.log.String(); !strings.Contains(log, "Try, in another terminal") && !strings.Contains(log, "can't log in") {
				return errors.New("they are not")
			}
			return nil
		})
		return p, http
	}
	kafka := freeAddr(t)
	p, http := begin(kafka)
	mine := " --profile " + data + "/profile.yaml"
	h.varve(0, "topic create first"+mine)
	h.varve(0, "user list"+mine, "admin")
	h.varve(0, "acl list"+mine)
	h.varve(0, "cluster health"+mine, "is healthy")
	h.varve(0, "cluster status"+mine)
	h.varve(2, "cluster health --http https://"+http, "--tls-ca")
	h.varve(2, "cluster health --http https://"+http+" --tls-ca "+data+"/ca.crt", "wants a user and a password")
	h.varve(2, "cluster health --http "+http, "speaks HTTPS")
	h.varve(1, "topic list --brokers "+kafka, "may want TLS")
	h.varve(1, "topic list --brokers "+kafka+" --tls-ca "+data+"/ca.crt", "--user")

	h.file("bob", "bob's password")
	h.varve(0, "user create bob --new-password-file bob"+mine)
	asBob := " --http https://" + http + " --tls-ca " + data + "/ca.crt --user bob --password-file bob"
	h.varve(2, "cluster health"+asBob, "User:bob isn't allowed DESCRIBE on the cluster", "varve acl explain")
	h.varve(0, "acl create --allow-principal User:bob --operation describe --cluster"+mine)
	h.varve(0, "cluster health"+asBob, "is healthy")
	h.varve(1, "cluster balance"+asBob, "User:bob isn't allowed ALTER on the cluster")
	h.varve(0, "cluster balance"+mine)
	if strings.Count(p.log.String(), "principal=User:admin method=POST") != 1 {
		t.Errorf("the log doesn't say who asked for balancing")
	}

	made := h.varve(0, "token create --hmac-file hmac"+mine, "User:admin")
	h.varve(0, "topic list --brokers "+kafka+" --tls-ca "+data+"/ca.crt --token --password-file hmac --user "+strings.Fields(made)[1], "first")

	files := map[string]string{}
	for _, name := range []string{"ca.key", "agent.key", "first-user", "token-secret", "client.properties", "kcat.conf", "profile.yaml"} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		content, err := os.ReadFile(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(content)
	}
	_, password, _ := strings.Cut(strings.TrimSpace(files["first-user"]), ":")
	if len(password) < 16 || strings.Contains(p.log.String(), password) {
		t.Errorf("the password has %d characters, or is in the log", len(password))
	}
	p.stop()

	_, port, _ := strings.Cut(freeAddr(t), ":")
	p, _ = begin(":" + port) // on all interfaces, whose addresses are in a new certificate
	h.varve(0, "topic list"+mine, "first")
	h.varve(0, "topic list --brokers localhost:"+port+mine, "first")
	for name, before := range files {
		if now, err := os.ReadFile(filepath.Join(data, name)); err != nil || (name == "ca.key" || name == "first-user" || name == "token-secret") != (string(now) == before) && name != "client.properties" {
			t.Errorf("%s after a restart at another address: changed %v, %v", name, string(now) != before, err)
		}
	}
	h.file("other", "another password")
	h.varve(0, "user passwd admin --new-password-file other"+mine)
	p.stop()
	p, _ = begin(kafka)
	if !strings.Contains(p.log.String(), "admin can't log in with the password in") {
		t.Error("a password that doesn't fit is not told")
	}
	p.stop()
	http = freeAddr(t)
	p = run(t, "dev", "--data", data, "--kafka-listen", kafka, "--http-listen", http)
	awaitPage(t, p, "http://"+http+"/readyz")
	if !strings.Contains(p.log.String(), "this data was kept with --secure") {
		t.Error("a start without --secure is not warned of")
	}
	p.stop()

	for _, args := range [][]string{{"--listeners", "[{name: X, bind: ':0', protocol: SSL}]"}, {"--security-bootstrap-user-file", data + "/first-user"}} {
		b, _ := exec.Command(binary, append([]string{"dev", "--secure", "--data", data}, args...)...).CombinedOutput() // the text says it
		if !strings.Contains(string(b), "--secure makes a") {
			t.Errorf("%v: %s", args, b)
		}
	}
}
