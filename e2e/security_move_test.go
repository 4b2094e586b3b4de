package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/testserver"
)

// writer produces records one after the other until it is stopped.
type writer struct {
	t     *testing.T
	cl    *kgo.Client
	acked atomic.Int64
	stop  context.CancelFunc
	ended chan error
}

func newWriter(t *testing.T, topic string, opts ...kgo.Opt) *writer {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation())...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	w := &writer{t: t, cl: cl, stop: stop, ended: make(chan error, 1)}
	go func() {
		for ctx.Err() == nil {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
				w.ended <- err
				return
			}
			w.acked.Add(1)
		}
		w.ended <- nil
	}()
	t.Cleanup(func() { stop(); cl.Close() })
	return w
}

// goesOn waits for more acknowledgements.
func (w *writer) goesOn() {
	w.t.Helper()
	before := w.acked.Load()
	poll(w.t, 60*time.Second, "more acknowledgements", func() error {
		select {
		case err := <-w.ended:
			w.t.Fatalf("the writer ended: %v", err)
		default:
		}
		if w.acked.Load() < before+50 {
			return errors.New("none")
		}
		return nil
	})
}

// end stops it, and counts what it wrote.
func (w *writer) end() int64 {
	w.t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Error(err)
	}
	return w.acked.Load()
}

// restart replaces an agent's settings and starts it again.
func (m *member) restart(config string) {
	m.c.t.Helper()
	if err := os.WriteFile(m.config(), []byte(config), 0o600); err != nil {
		m.c.t.Fatal(err)
	}
	m.stop()
	m.launch()
	m.c.ready()
}

// changed returns an agent's settings with each old text replaced by the new one after it.
func (m *member) changed(pairs ...string) string {
	m.c.t.Helper()
	b, err := os.ReadFile(m.config())
	if err != nil {
		m.c.t.Fatal(err)
	}
	config := string(b)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(config, pairs[i]) {
			m.c.t.Fatalf("no %q in\n%s", pairs[i], config)
		}
		config = strings.Replace(config, pairs[i], pairs[i+1], 1)
	}
	return config
}

// saslOnTLS is a listener with the certificate in the agent's directory.
func (m *member) saslOnTLS(addr string) string {
	return fmt.Sprintf("\n  - {name: CLIENTS, bind: '%s', protocol: SASL_SSL, tls: {cert_file: %[2]s/cert.pem, key_file: %[2]s/key.pem}}", addr, m.dir)
}

// TestMoveToSASLOnTLS: three agents get a second listener and TLS between them, clients move there, ACLs are switched on and made, and the
// first listener and plain connections between agents go, as docs/security.md says, under load and without an error for anybody. HTTP
// alone stays open, for the test's own questions.
func TestMoveToSASLOnTLS(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a := newAuthority(t)
	var secure []string
	old := newWriter(t, "old", kgo.SeedBrokers(strings.Split(c.brokers(), ",")...))
	old.goesOn()
	for _, m := range c.agents {
		addr := freeAddr(t)
		secure = append(secure, addr)
		if err := a.issue(m.dir); err != nil {
			t.Fatal(err)
		}
		m.restart(m.changed("listeners:", "listeners:"+m.saslOnTLS(addr), "\netcd:", a.config(m.dir)+"\n    optional: true\netcd:"))
		old.goesOn()
	}
	password := filepath.Join(c.agents[0].dir, "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob", "admin"} {
		output(t, "user", "create", name, "--new-password-file", password, "-b", c.agents[1].kafka)
	}
	ours := []kgo.Opt{kgo.SeedBrokers(secure...), kgo.DialTLSConfig(trust(a)), mechanisms("alice", "secret")["SCRAM-SHA-256"]}
	next := newWriter(t, "next", ours...)
	next.goesOn()
	const open, closed = "\nsecurity: {authorizer: acl, allow_everyone_if_no_acl_found: true, super_users: ['User:admin', 'User:ANONYMOUS']}", "\nsecurity: {authorizer: acl, super_users: ['User:admin']}"
	for _, m := range c.agents {
		m.restart(m.changed("\netcd:", open+"\nhttp_auth: none\netcd:"))
		next.goesOn()
		old.goesOn()
	}
	ca := filepath.Join(c.agents[0].dir, "ca.pem")
	output(t, "acl", "create", "--allow-principal", "alice", "--operation", "write", "--topic", "next", "-b", secure[2], "--tls-ca", ca, "--user", "admin", "--password-file", password)
	next.goesOn()
	old.goesOn()
	wrote := old.end()
	for _, m := range c.agents {
		m.restart(m.changed("\n    optional: true", "", "\n  - name: PLAINTEXT\n    bind: "+m.kafka, "", open, closed))
		next.goesOn()
	}
	wroteNext := next.end()
	for user, may := range map[string]bool{"alice": true, "bob": false} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(secure...), kgo.DialTLSConfig(trust(a)), mechanisms(user, "secret")["SCRAM-SHA-512"], kgo.DefaultProduceTopic("next"))
		if err != nil {
			t.Fatal(err)
		}
		err = cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr()
		if (err == nil) != may || !may && !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("%s writes: %v", user, err)
		}
		if err == nil {
			wroteNext++
		}
		cl.Close()
	}
	all, err := kgo.NewClient(kgo.SeedBrokers(secure...), kgo.DialTLSConfig(trust(a)), mechanisms("admin", "secret")["SCRAM-SHA-512"])
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	adm := kadm.NewClient(all)
	for topic, want := range map[string]int64{"old": wrote, "next": wroteNext} {
		ends, err := adm.ListEndOffsets(t.Context(), topic)
		if o, _ := ends.Lookup(topic, 0); err != nil || o.Offset != want {
			t.Errorf("%s ends at %d, %d records were acknowledged: %v", topic, o.Offset, want, err)
		}
	}
}

// TestMoveToAnotherAuthority: agents and clients go from one authority to the next in three rounds, as docs/security.md says, under load,
// without a restart, an error or a lost connection. After them nobody believes the first one.
func TestMoveToAnotherAuthority(t *testing.T) {
	t.Parallel()
	from, to := newAuthority(t), newAuthority(t)
	c := &cluster{t: t, etcd: testserver.Etcds(t, 1), minio: testserver.MinIO(t), tls: from}
	c.begin()
	var addrs []string
	for _, m := range c.agents {
		addr := freeAddr(t)
		addrs = append(addrs, addr)
		m.restart(m.changed("listeners:", "listeners:"+m.saslOnTLS(addr)))
	}
	password := filepath.Join(c.agents[0].dir, "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, "user", "create", "alice", "--new-password-file", password, "-b", c.agents[0].kafka)
	var lost disconnects
	client := func(trusted ...*authority) []kgo.Opt {
		return []kgo.Opt{kgo.SeedBrokers(addrs...), kgo.DialTLSConfig(trust(trusted...)), mechanisms("alice", "secret")["SCRAM-SHA-512"]}
	}
	w := newWriter(t, "moves", append(client(from, to), kgo.WithHooks(&lost))...) // clients trust both first
	w.goesOn()
	lost.Store(0)
	round := func(what string, write func(m *member) error) {
		t.Helper()
		var read []int
		for _, m := range c.agents {
			read = append(read, strings.Count(m.log.String(), "certificate replaced"))
			if err := write(m); err != nil {
				t.Fatal(err)
			}
		}
		for i, m := range c.agents {
			poll(t, 30*time.Second, what, func() error {
				if strings.Count(m.log.String(), "certificate replaced") == read[i] {
					return errors.New("the files were not read again")
				}
				return nil
			})
		}
		w.goesOn()
	}
	round("both authorities", func(m *member) error {
		return os.WriteFile(filepath.Join(m.dir, "ca.pem"), append(append([]byte{}, from.pem...), to.pem...), 0o600)
	})
	round("new certificates", func(m *member) error {
		if err := to.issue(m.dir); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(m.dir, "ca.pem"), append(append([]byte{}, from.pem...), to.pem...), 0o600)
	})
	round("the next authority alone", func(m *member) error { return os.WriteFile(filepath.Join(m.dir, "ca.pem"), to.pem, 0o600) })
	for _, m := range c.agents {
		if m.says("changed certificate not used") == nil {
			t.Logf("agent %d read files that were half replaced, and again", m.id)
		}
	}
	if n := lost.Load(); n != 0 {
		t.Errorf("%d connections were lost", n)
	}
	if err := exchange(t, "by-next", "x", client(to)...); err != nil {
		t.Errorf("a client that trusts the next authority: %v", err)
	}
	if err := exchange(t, "by-first", "x", client(from)...); err == nil {
		t.Error("a client that trusts only the first authority is connected")
	}
	victim := c.agents[1] // all its connections are made anew
	victim.kill()
	w.goesOn()
	victim.start()
	c.ready()
	w.goesOn()
	wrote := w.end()
	ends, err := kadm.NewClient(w.cl).ListEndOffsets(t.Context(), "moves")
	if o, _ := ends.Lookup("moves", 0); err != nil || o.Offset != wrote {
		t.Errorf("the log ends at %d, %d records were acknowledged: %v", o.Offset, wrote, err)
	}
	for _, m := range c.agents {
		for line := range strings.Lines(m.log.String()) {
			if strings.Contains(line, "part=replica") && strings.Contains(line, "TLS") && strings.Contains(line, "certificate") {
				t.Errorf("agent %d: %s", m.id, line)
			}
		}
	}
}

// TestStoreKeysAreReplaced: the bucket gets other credentials while an agent runs. It reads the files again and goes on
// with uploads, without a restart.
func TestStoreKeysAreReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	files := map[string]string{"access_key": s.minio.AccessKey, "secret_key": s.minio.SecretKey}
	b, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	config := string(b)
	write := func() {
		t.Helper()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, content := range files {
		config = strings.Replace(config, name+": "+content, fmt.Sprintf("%s_file: %s/%[1]s", name, s.dir), 1)
	}
	if strings.Contains(config, s.minio.SecretKey) {
		t.Fatalf("the secret is still in\n%s", config)
	}
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	write()
	s.start()
	l := newLedger(t, s.kafka, "keys", 2)
	l.put(500, 500)
	s.uploaded("with the first credentials")
	if err := s.minio.Kill(); err != nil {
		t.Fatal(err)
	}
	s.minio.SetRoot("another-user", "another-secret")
	if err := s.minio.Start(); err != nil {
		t.Fatal(err)
	}
	l.put(500, 500)
	poll(t, 30*time.Second, "a refused upload", func() error {
		if !strings.Contains(s.agent.log.String(), "access denied") {
			return errors.New("none in the log")
		}
		return nil
	})
	files["access_key"], files["secret_key"] = "another-user", "another-secret"
	write()
	s.uploaded("with the next credentials")
	l.check()
	for _, secret := range []string{"another-secret", testserver.MinIOSecretKey} {
		if strings.Contains(s.agent.log.String(), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}
