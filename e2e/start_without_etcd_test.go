package e2e

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// TestStartWithoutEtcd: an agent that starts while etcd is away waits, says so, and serves
// when etcd is back.
func TestStartWithoutEtcd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// Most of its patience for one try is not what this is about.
	s.extra = append(s.extra, "--etcd-dial-timeout", "1s")
	if err := s.etcd.Kill(); err != nil {
		t.Fatal(err)
	}
	s.launch()
	s.await("/livez")
	where := "etcd at " + s.etcd.Endpoints[0]
	poll(t, 30*time.Second, "an agent that waits", func() error {
		if _, err := get("http://" + s.http + "/readyz"); err == nil || !strings.Contains(err.Error(), where) {
			return fmt.Errorf("/readyz: %v", err)
		}
		if !strings.Contains(s.agent.log.String(), "waiting for etcd") {
			return errors.New("it doesn't say so")
		}
		return nil
	})
	if err := s.etcd.Start(); err != nil {
		t.Fatal(err)
	}
	s.await("/readyz")
	s.agent.stop()
}

// TestStartWithoutEtcdEnds: an agent that waits for etcd can be stopped, and one that etcd's
// certificate doesn't suit ends by itself.
func TestStartWithoutEtcdEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.etcd.Kill(); err != nil {
		t.Fatal(err)
	}
	s.launch()
	s.await("/livez")
	s.agent.stop()
	strange := httptest.NewUnstartedServer(nil)
	strange.EnableHTTP2 = true
	strange.StartTLS()
	defer strange.Close()
	b, err := os.ReadFile(s.config())
	if err == nil {
		err = os.WriteFile(s.config(), []byte(strings.ReplaceAll(string(b), s.etcd.Endpoints[0], strange.URL)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.launch()
	select {
	case <-s.agent.done:
	case <-time.After(time.Minute):
		t.Fatal("it waits for a server that it doesn't trust")
	}
	if log := s.agent.log.String(); !strings.Contains(log, "x509: ") {
		t.Errorf("it doesn't say why: %s", log)
	}
}
