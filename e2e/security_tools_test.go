//go:build full

package e2e

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// librdkafka speaks every protocol and mechanism, with a client's certificate, too.
func TestKcatSecured(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "")
	name, password, _ := strings.Cut(firstUser, ":")
	ca := filepath.Join(s.dir, "ca.pem")
	in := lines(500)
	both := func(topic, broker string, flags ...string) {
		t.Helper()
		tool(t, in, "kcat", append([]string{"-P", "-b", broker, "-t", topic, "-X", "enable.idempotence=true"}, flags...)...)
		if got := tool(t, "", "kcat", append([]string{"-C", "-b", broker, "-t", topic, "-e", "-q"}, flags...)...); got != in {
			t.Errorf("%s: %d bytes came back of %d", topic, len(got), len(in))
		}
	}
	for _, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		login := []string{"-X", "sasl.mechanisms=" + m, "-X", "sasl.username=" + name, "-X", "sasl.password=" + password}
		both("open-"+m, s.sasl, append(login, "-X", "security.protocol=SASL_PLAINTEXT")...)
		both("tls-"+m, s.saslOnTLS, append(login, "-X", "security.protocol=SASL_SSL", "-X", "ssl.ca.location="+ca)...)
	}
	both("anybody", s.tls, "-X", "security.protocol=SSL", "-X", "ssl.ca.location="+ca)
	key, cert, err := s.authority.sign(&x509.Certificate{SerialNumber: big.NewInt(4), Subject: pkix.Name{CommonName: "kcat", OrganizationalUnit: []string{"people"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"client.pem": cert, "client.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(filepath.Join(s.dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	both("certified", s.tls, "-X", "security.protocol=SSL", "-X", "ssl.ca.location="+ca, "-X", "ssl.certificate.location="+filepath.Join(s.dir, "client.pem"), "-X", "ssl.key.location="+filepath.Join(s.dir, "client.key"))
	if !strings.Contains(s.log.String(), "client.principal=User:kcat") {
		t.Error("the certificate's name is not in the log")
	}
}

// Kafka's own tools make users, and log in as them with each mechanism over TLS.
func TestKafkaToolsSecured(t *testing.T) {
	t.Parallel()
	s := newSecured(t, ", max_reauth: 2s")
	lib := kafkaJars(t)
	run := func(in, class string, args ...string) string {
		t.Helper()
		return tool(t, in, "java", append([]string{"-Xmx256m", "-cp", lib + "/*", class}, args...)...)
	}
	login := func(user, password, mechanism string) string {
		t.Helper()
		module := "scram.ScramLoginModule"
		if mechanism == "PLAIN" {
			module = "plain.PlainLoginModule"
		}
		path := filepath.Join(t.TempDir(), "client.properties")
		text := fmt.Sprintf("security.protocol=SASL_SSL\nsasl.mechanism=%s\nssl.truststore.type=PEM\nssl.truststore.location=%s/ca.pem\nsasl.jaas.config=org.apache.kafka.common.security.%s required username=\"%s\" password=\"%s\";\n", mechanism, s.dir, module, user, password)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	name, password, _ := strings.Cut(firstUser, ":")
	admin := login(name, password, "SCRAM-SHA-512")
	configs := func(args ...string) string {
		t.Helper()
		return run("", "kafka.admin.ConfigCommand", append([]string{"--bootstrap-server", s.saslOnTLS, "--command-config", admin, "--entity-type", "users"}, args...)...)
	}
	configs("--alter", "--entity-name", "java", "--add-config", "SCRAM-SHA-256=[iterations=8192,password=secret]")
	configs("--alter", "--entity-name", "java", "--add-config", "SCRAM-SHA-512=[password=secret]")
	if out := configs("--describe", "--entity-name", "java"); !strings.Contains(out, "SCRAM credential configs for user-principal 'java' are SCRAM-SHA-256=iterations=8192, SCRAM-SHA-512=iterations=4096") {
		t.Errorf("described:\n%s", out)
	}
	if out := output(t, "user", "list", "java", "-b", s.open); !strings.Contains(out, "SCRAM-SHA-256 (8192 iterations), SCRAM-SHA-512 (4096 iterations)") {
		t.Errorf("listed:\n%s", out)
	}
	in := lines(300)
	for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"} {
		as := login("java", "secret", m)
		run(in, "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", s.saslOnTLS, "--topic", m, "--command-config", as)
		out := run("", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", s.saslOnTLS, "--topic", m, "--from-beginning", "--max-messages", "300", "--timeout-ms", "60000", "--command-config", as)
		if sorted(out) != sorted(in) {
			t.Errorf("%s: %d lines came back", m, strings.Count(out, "\n"))
		}
	}
	// A client that stays authenticates again and again (KIP-368), and loses nothing.
	if out := run("", "org.apache.kafka.tools.ProducerPerformance", "--topic", "stays", "--num-records", "400", "--record-size", "100", "--throughput", "50", "--command-config", login("java", "secret", "SCRAM-SHA-512"), "--command-property", "bootstrap.servers="+s.saslOnTLS); !strings.Contains(out, "400 records sent") || strings.Contains(out, "xception") {
		t.Errorf("a producer that stays:\n%s", out)
	}
	if page, err := get("http://" + s.http + "/metrics"); err != nil || !strings.Contains(page, "varve_kafka_expired_sessions_total 0") {
		t.Errorf("a session expired: %v", err)
	}
	configs("--alter", "--entity-name", "java", "--delete-config", "SCRAM-SHA-512")
	if out := output(t, "user", "list", "java", "-b", s.open); strings.Contains(out, "SCRAM-SHA-512") {
		t.Errorf("listed:\n%s", out)
	}
}

// The files that 'varve dev --secure' writes are all that kcat and Kafka's tools need.
func TestKafkaToolsOfDevSecure(t *testing.T) {
	t.Parallel()
	data, kafka, http := t.TempDir(), freeAddr(t), freeAddr(t)
	run(t, "dev", "--secure", "--data", data, "--kafka-listen", kafka, "--http-listen", http)
	poll(t, 10*time.Second, "clients' files are written", func() error {
		_, err := os.Stat(filepath.Join(data, "kcat.conf"))
		return err
	})
	in := lines(100)
	tool(t, in, "kcat", "-F", filepath.Join(data, "kcat.conf"), "-P", "-t", "first")
	out := tool(t, "", "java", "-Xmx256m", "-cp", kafkaJars(t)+"/*", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", kafka,
		"--topic", "first", "--from-beginning", "--max-messages", "100", "--timeout-ms", "60000", "--command-config", filepath.Join(data, "client.properties"))
	if sorted(out) != sorted(in) {
		t.Errorf("%d lines came back", strings.Count(out, "\n"))
	}
}
