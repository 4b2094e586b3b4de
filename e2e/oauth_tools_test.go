//go:build full

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Kafka's own tools fetch tokens from an OAuth server that nobody here wrote, log in by them, and
// renew them before they expire.
func TestKafkaToolsWithTokens(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	issuer := func(name string) string {
		return fmt.Sprintf(`{"issuerId":"%s","tokenExpiry":8,"requestMappings":[{"requestParam":"grant_type","match":"client_credentials","claims":{"sub":"java","aud":["varve"],"scope":"kafka"}}]}`, name)
	}
	server := exec.Command("java", "-Xmx128m", "-cp", jars(t, "mock-oauth2-server-2.1.10", "java/oauth/pom.xml")+"/*", "no.nav.security.mock.oauth2.StandaloneMockOAuth2ServerKt")
	server.Env = append(os.Environ(), "SERVER_HOSTNAME=127.0.0.1", "SERVER_PORT="+port, `JSON_CONFIG={"interactiveLogin":false,"tokenCallbacks":[`+issuer("good")+","+issuer("other")+`]}`)
	awaitPage(t, start(t, server), "http://"+addr+"/good/jwks")
	b := newBeliever(t, "http://"+addr+"/good/jwks", "http://"+addr+"/good", "varve")

	lib := kafkaJars(t)
	login := func(issuer string) (url, file string) {
		url = "http://" + addr + "/" + issuer + "/token"
		file = filepath.Join(t.TempDir(), "client.properties")
		text := fmt.Sprintf(`security.protocol=SASL_PLAINTEXT
sasl.mechanism=OAUTHBEARER
sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler
sasl.oauthbearer.token.endpoint.url=%s
sasl.login.refresh.min.period.seconds=1
sasl.login.refresh.buffer.seconds=1
sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId="java" clientSecret="secret" scope="kafka" extension_traceId="123";
`, url)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return url, file
	}
	java := func(issuer, class string, args ...string) []string {
		url, file := login(issuer)
		return append([]string{"-Xmx256m", "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + url, "-cp", lib + "/*", class, "--bootstrap-server", b.broker, "--command-config", file}, args...)
	}
	in := lines(300)
	tool(t, in, "java", java("good", "org.apache.kafka.tools.ConsoleProducer", "--topic", "tokens")...)
	out := tool(t, "", "java", java("good", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", "tokens", "--from-beginning", "--max-messages", "300", "--timeout-ms", "60000")...)
	if sorted(out) != sorted(in) {
		t.Errorf("%d lines came back", strings.Count(out, "\n"))
	}
	if !strings.Contains(b.log.String(), "client.principal=User:java") {
		t.Errorf("the token's subject is not in the log")
	}
	// A consumer that stays for several tokens is never cut off.
	began := time.Now()
	tool(t, "", "java", java("good", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", "tokens", "--group", "stays", "--timeout-ms", "25000")...)
	logins := b.metric(`varve_kafka_authentications_total{mechanism="OAUTHBEARER",result="success"}`)
	t.Logf("a consumer stayed for %v; %s logins in all", time.Since(began), logins)
	if len(logins) < 2 {
		t.Errorf("%s logins in all: the clients don't authenticate again", logins)
	}
	if n := b.metric("varve_kafka_expired_sessions_total"); n != "0" {
		t.Errorf("%s sessions expired", n)
	}
	if n := b.metric(`varve_kafka_authentications_total{mechanism="OAUTHBEARER",result="failure"}`); n != "" {
		t.Errorf("%s authentications failed\n%s", n, b.log)
	}
	// The keys of another issuer sign tokens that aren't good here, and the tool says so.
	cmd := exec.CommandContext(t.Context(), "java", java("other", "org.apache.kafka.tools.TopicCommand", "--list")...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), `{"status":"invalid_token"}`) {
		t.Errorf("a token of another issuer: %v\n%s", err, out)
	}
}
