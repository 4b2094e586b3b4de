//go:build full

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"
)

// realm is the one of the KDC in the tests.
const realm = "VARVE.TEST"

// kdc is a KDC of MIT Kerberos, with files of its own.
type kdc struct {
	*testing.T
	*process
	dir  string
	conf string // krb5.conf of its clients
	env  []string
}

// newKDC starts one whose keys are of these encryption types.
func newKDC(t *testing.T, encryption string) *kdc {
	t.Helper()
	for _, program := range []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: install krb5-kdc, krb5-admin-server, krb5-user and libsasl2-modules-gssapi-mit", err)
		}
	}
	k := &kdc{T: t, dir: t.TempDir()}
	k.conf = filepath.Join(k.dir, "krb5.conf")
	addr := freeAddr(t)
	k.write("krb5.conf", fmt.Sprintf(`[libdefaults]
default_realm = %[1]s
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
permitted_enctypes = %[3]s
default_tkt_enctypes = %[3]s
default_tgs_enctypes = %[3]s
[realms]
%[1]s = {
  kdc = %[2]s
}
`, realm, addr, encryption))
	types := strings.ReplaceAll(encryption, " ", ":normal ") + ":normal"
	k.write("kdc.conf", fmt.Sprintf(`[kdcdefaults]
kdc_listen = %[2]s
kdc_tcp_listen = %[2]s
[realms]
%[1]s = {
  database_name = %[3]s/principal
  key_stash_file = %[3]s/stash
  acl_file = %[3]s/kadm5.acl
  master_key_type = %[5]s
  supported_enctypes = %[4]s
}
`, realm, addr, k.dir, types, strings.Fields(encryption)[0]))
	k.env = append(os.Environ(), "KRB5_CONFIG="+k.conf, "KRB5_KDC_PROFILE="+filepath.Join(k.dir, "kdc.conf"), "KRB5CCNAME=FILE:"+filepath.Join(k.dir, "cache"))
	k.run("kdb5_util", "create", "-s", "-W", "-P", "master", "-r", realm)
	cmd := exec.Command("krb5kdc", "-n", "-P", filepath.Join(k.dir, "pid"))
	cmd.Env = k.env
	k.process = start(t, cmd)
	poll(t, 10*time.Second, "the KDC listens", func() error {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err
	})
	return k
}

func (k *kdc) write(name, text string) string {
	k.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.Fatal(err)
	}
	return path
}

// run runs a program as a client of the KDC.
func (k *kdc) run(program string, args ...string) string {
	k.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = k.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// keytab makes principals and returns a keytab with their keys.
func (k *kdc) keytab(file string, principals ...string) string {
	k.Helper()
	path := filepath.Join(k.dir, file)
	for _, p := range principals {
		k.run("kadmin.local", "-r", realm, "-q", "addprinc -randkey "+p)
		k.run("kadmin.local", "-r", realm, "-q", "ktadd -norandkey -k "+path+" "+p)
	}
	return path
}

// kerberized is an agent that accepts tickets of a KDC.
type kerberized struct {
	*believer
	kdc    *kdc
	keytab string
}

func newKerberized(t *testing.T, encryption, more string) *kerberized {
	t.Helper()
	k := &kerberized{kdc: newKDC(t, encryption), believer: &believer{T: t, http: freeAddr(t)}}
	k.keytab = k.kdc.keytab("kafka.keytab", "kafka/localhost")
	addr := freeAddr(t)
	k.broker = "localhost" + addr[strings.LastIndex(addr, ":"):]
	config := k.kdc.write("varve.yaml", fmt.Sprintf(`listeners:
- {name: PLAINTEXT, bind: "%s"}
- {name: TICKETS, bind: "%s", advertised: "%s", protocol: SASL_PLAINTEXT, sasl: {mechanisms: [GSSAPI]%s}}
security:
  kerberos: {keytab_file: "%s", principal_to_local_rules: ["RULE:[1:$1](kc.*)s/^/user-/", DEFAULT]}
`, freeAddr(t), addr, k.broker, more, k.keytab))
	k.process = start(t, exec.Command(binary, "dev", "--data", t.TempDir(), "--http-listen", k.http, "--config", config))
	awaitPage(t, k.process, "http://"+k.http+"/readyz")
	return k
}

const (
	sha1 = "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96"
	sha2 = "aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128"
)

// librdkafka logs in by MIT's Kerberos, with each kind of encryption.
func TestKcatWithKerberos(t *testing.T) {
	t.Parallel()
	for _, encryption := range append(strings.Fields(sha1), strings.Fields(sha2)...) {
		t.Run(encryption, func(t *testing.T) {
			k := newKerberized(t, encryption, "")
			tab := k.kdc.keytab("kcat.keytab", "kcat")
			kcat := func(in string, args ...string) string {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "kcat", append([]string{"-b", k.broker, "-t", "tickets", "-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanisms=GSSAPI", "-X", "sasl.kerberos.keytab=" + tab, "-X", "sasl.kerberos.principal=kcat"}, args...)...)
				cmd.Env, cmd.Stdin = k.kdc.env, strings.NewReader(in)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v: %v\n%s", args, err, k.log)
				}
				return string(out)
			}
			in := lines(200)
			kcat(in, "-P")
			if out := kcat("", "-C", "-e", "-q"); out != in {
				t.Errorf("%d bytes came back of %d", len(out), len(in))
			}
			if !strings.Contains(k.log.String(), "client.principal=User:user-kcat") {
				t.Error("the ticket's principal is not in the log by its short name")
			}
			if n := k.metric(`varve_kafka_authentications_total{mechanism="GSSAPI",result="failure"}`); n != "" {
				t.Errorf("%s authentications failed", n)
			}
		})
	}
}

// Kafka's own tools log in by Java's Kerberos, and again and again while they stay.
func TestKafkaToolsWithKerberos(t *testing.T) {
	t.Parallel()
	k := newKerberized(t, sha2+" "+sha1, ", max_reauth: 2s")
	tab := k.kdc.keytab("java.keytab", "java", "java/admin")
	lib := kafkaJars(t)
	login := func(principal, service string) string {
		return k.kdc.write(strings.ReplaceAll(principal, "/", "-")+service, fmt.Sprintf(`security.protocol=SASL_PLAINTEXT
sasl.mechanism=GSSAPI
sasl.kerberos.service.name=%s
sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab="%s" principal="%s@%s";
`, service, tab, principal, realm))
	}
	java := func(in, class string, args ...string) string {
		t.Helper()
		return tool(t, in, "java", append([]string{"-Xmx256m", "-Djava.security.krb5.conf=" + k.kdc.conf, "-cp", lib + "/*", class, "--bootstrap-server", k.broker}, args...)...)
	}
	in := lines(300)
	as := login("java", "kafka")
	java(in, "org.apache.kafka.tools.ConsoleProducer", "--topic", "java", "--command-config", as)
	out := java("", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", "java", "--from-beginning", "--max-messages", "300", "--timeout-ms", "60000", "--command-config", as)
	if sorted(out) != sorted(in) {
		t.Errorf("%d lines came back", strings.Count(out, "\n"))
	}
	if out := java("", "org.apache.kafka.tools.TopicCommand", "--list", "--command-config", login("java/admin", "kafka")); !strings.Contains(out, "java") {
		t.Errorf("as java/admin:\n%s", out)
	}
	k.kdc.keytab("http.keytab", "http/localhost")
	cmd := exec.CommandContext(t.Context(), "java", "-Xmx256m", "-Djava.security.krb5.conf="+k.kdc.conf, "-cp", lib+"/*", "org.apache.kafka.tools.TopicCommand", "--list", "--bootstrap-server", k.broker, "--command-config", login("java", "http"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "due to invalid credentials with SASL mechanism GSSAPI") || !strings.Contains(k.log.String(), "the ticket is for http/localhost@"+realm+", of which the keytab has no key") {
		t.Errorf("a ticket for another service: %v\n%s", err, out)
	}
	failures := k.metric(`varve_kafka_authentications_total{mechanism="GSSAPI",result="failure"}`)
	java("", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", "java", "--group", "stays", "--timeout-ms", "7000", "--command-config", as)
	if n := k.metric("varve_kafka_expired_sessions_total"); n != "0" {
		t.Errorf("%s sessions expired", n)
	}
	if n := k.metric(`varve_kafka_authentications_total{mechanism="GSSAPI",result="failure"}`); n != failures {
		t.Errorf("%s authentications failed\n%s", n, k.log)
	}
	if !strings.Contains(k.log.String(), "client.principal=User:java ") {
		t.Error("the ticket's principal is not in the log by its short name")
	}
}

// The program's own commands log in by a keytab, a password, or the ticket that kinit got.
func TestCommandsWithKerberos(t *testing.T) {
	t.Parallel()
	k := newKerberized(t, sha2, "")
	tab := k.kdc.keytab("command.keytab", "command")
	k.kdc.run("kadmin.local", "-r", realm, "-q", "addprinc -pw geheim typist")
	password := k.kdc.write("password", "geheim\n")
	varve := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, append(args, "-b", k.broker, "--sasl", "GSSAPI", "--timeout", "10s")...)
		cmd.Env = append(k.kdc.env, "XDG_CONFIG_HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	wants := func(want string, fine bool, args ...string) {
		t.Helper()
		if out, err := varve(args...); (err == nil) != fine || !strings.Contains(out, want) {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
	wants("kinit", false, "topic", "list")
	wants("", true, "topic", "create", "commands", "--user", "command", "--keytab", tab)
	wants("commands", true, "topic", "list", "--user", "typist@"+realm, "--password-file", password)
	wants("a password, or a keytab", false, "topic", "list", "--user", "typist")
	wants("get a ticket of Kerberos for kafka/localhost", false, "topic", "list", "--user", "nobody", "--keytab", tab)
	k.kdc.run("kinit", "-k", "-t", tab, "command")
	wants("commands", true, "topic", "list")
	for _, user := range []string{"command", "typist"} {
		if !strings.Contains(k.log.String(), "client.principal=User:"+user) {
			t.Errorf("%s is not in the log", user)
		}
	}
}

// franz returns the login of franz-go with a keytab.
func (k *kdc) franz(tab, user string) kgo.Opt {
	k.Helper()
	conf, err := config.Load(k.conf)
	if err != nil {
		k.Fatal(err)
	}
	return kgo.SASL(kerberos.Auth{Service: "kafka", ClientFn: func(context.Context) *client.Client {
		keys, err := keytab.Load(tab)
		if err != nil {
			return nil
		}
		return client.NewWithKeytab(user, realm, keys, conf)
	}}.AsMechanism())
}

// franz-go logs in by gokrb5, which doesn't ask who the server is. Tickets of strangers, and those from
// before the service got another key, are refused, until the keytab is replaced.
func TestFranzWithKerberos(t *testing.T) {
	t.Parallel()
	k := newKerberized(t, sha2+" "+sha1, "")
	tab := k.kdc.keytab("franz.keytab", "franz", "franz/other")
	as := func(user string) error {
		return exchange(t, "franz", user, kgo.SeedBrokers(k.broker), k.kdc.franz(tab, user))
	}
	for _, user := range []string{"franz", "franz/other"} {
		if err := as(user); err != nil {
			t.Fatalf("%s: %v\n%s", user, err, k.log)
		}
	}
	if !strings.Contains(k.log.String(), "client.principal=User:franz ") {
		t.Error("the ticket's principal is not in the log by its short name")
	}
	fresh := filepath.Join(k.kdc.dir, "fresh.keytab")
	k.kdc.run("kadmin.local", "-r", realm, "-q", "ktadd -k "+fresh+" kafka/localhost") // makes another key
	if err := as("franz"); err == nil {
		t.Error("a ticket by a key that the agent doesn't have is let in")
	}
	if !strings.Contains(k.log.String(), "which the keytab doesn't have") {
		t.Errorf("the log doesn't say why:\n%s", k.log)
	}
	if err := os.Rename(fresh, k.keytab); err != nil {
		t.Fatal(err)
	}
	poll(t, 20*time.Second, "the new keytab is used", func() error {
		if !strings.Contains(k.log.String(), "keytab replaced") {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if err := as("franz"); err != nil {
		t.Errorf("by the new keytab: %v\n%s", err, k.log)
	}
}
