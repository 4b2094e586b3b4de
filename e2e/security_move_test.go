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
	"github.com/twmb/franz-go/pkg/kgo"
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

// TestMoveToSASLOnTLS: three agents get a second listener, clients move there, and the first one
// goes, as docs/security.md says, under load and without an error for anybody.
func TestMoveToSASLOnTLS(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a := newAuthority(t)
	var secure []string
	listeners := func(m *member, addr string) (open, both, closed string) {
		b, err := os.ReadFile(m.config())
		if err != nil {
			t.Fatal(err)
		}
		if err := a.issue(m.dir); err != nil {
			t.Fatal(err)
		}
		was := fmt.Sprintf("\n  - name: PLAINTEXT\n    bind: %s", m.kafka)
		added := fmt.Sprintf("\n  - {name: CLIENTS, bind: '%s', protocol: SASL_SSL, tls: {cert_file: %[2]s/cert.pem, key_file: %[2]s/key.pem}}", addr, m.dir)
		open = string(b)
		if !strings.Contains(open, was) {
			t.Fatalf("no listener in\n%s", open)
		}
		return open, strings.Replace(open, was, was+added, 1), strings.Replace(open, was, added, 1)
	}
	restart := func(m *member, config string) {
		t.Helper()
		if err := os.WriteFile(m.config(), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		m.stop()
		m.launch()
		c.ready()
	}
	old := newWriter(t, "old", kgo.SeedBrokers(strings.Split(c.brokers(), ",")...))
	old.goesOn()
	var last []string
	for _, m := range c.agents {
		addr := freeAddr(t)
		secure = append(secure, addr)
		_, both, closed := listeners(m, addr)
		last = append(last, closed)
		restart(m, both)
		old.goesOn()
	}
	password := filepath.Join(c.agents[0].dir, "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, "user", "create", "alice", "--new-password-file", password, "-b", c.agents[1].kafka)
	wrote := old.end()
	ours := []kgo.Opt{kgo.SeedBrokers(secure...), kgo.DialTLSConfig(trust(a)), mechanisms("alice", "secret")["SCRAM-SHA-256"]}
	next := newWriter(t, "next", ours...)
	next.goesOn()
	for i, m := range c.agents {
		restart(m, last[i])
		next.goesOn()
	}
	wroteNext := next.end()
	adm := kadm.NewClient(next.cl)
	for topic, want := range map[string]int64{"old": wrote, "next": wroteNext} {
		ends, err := adm.ListEndOffsets(t.Context(), topic)
		if o, _ := ends.Lookup(topic, 0); err != nil || o.Offset != want {
			t.Errorf("%s ends at %d, %d records were acknowledged: %v", topic, o.Offset, want, err)
		}
	}
}
