package agent

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/auth/token"
	"varve/cluster"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
)

// text is a log that can be read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

// Delegation tokens that have expired are deleted, others aren't; those that another secret made
// are warned of, once.
func TestExpiredTokensAreDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fs: vfs.NewMemory(), meta: metadata.NewMemory(), bucket: s3store.NewMemory()}
		cfg := w.config()
		cfg.HTTP = ""
		meta := w.meta.Open()
		defer meta.Close()
		log := new(text)
		network := newPipes()
		a, err := New(cfg, Deps{FS: w.fs, Meta: meta, Objects: w.bucket, Log: slog.New(slog.NewTextHandler(log, nil)), Registry: prometheus.NewRegistry(),
			Listen: func(string, string) (net.Listener, error) { return network, nil }, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		select {
		case <-a.Started():
		case err := <-ended:
			t.Fatal(err)
		}
		now := time.Now()
		for id, life := range map[string]time.Duration{"short": time.Minute, "long": 24 * time.Hour} {
			rec := schema.Token{Owner: "User:a", Requester: "User:a", Times: token.Times{Issued: now, Expires: now.Add(life), Max: now.Add(life)}}
			if err := a.editor.CreateToken(ctx, id, rec); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * tokenCheck)
		synctest.Wait()
		if all := cluster.NewTokens(a.view).All(); len(all) != 1 || all["long"].Owner != "User:a" {
			t.Errorf("left: %v", all)
		}
		if log.count(`msg="delegation token deleted: it has expired" part=audit token=short owner=User:a`) != 1 || log.count("this agent has no secret") != 1 {
			t.Errorf("log:\n%s", log.b.String())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// The agent warns once of tokens of another secret, when they appear.
func TestForeignTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		log := new(text)
		logger := slog.New(slog.NewTextHandler(log, nil))
		store := metadata.NewMemory().Open()
		defer store.Close()
		view := cluster.NewView(store, logger)
		var running sync.WaitGroup
		running.Go(func() { view.Run(ctx) })
		defer running.Wait()
		defer cancel()
		<-view.Ready()
		editor := cluster.NewEditor(view, store, nil)
		own := token.NewIssuer([]byte("0123456789abcdef"), token.DefaultConfig())
		w := &tokenWatch{own: own, view: view, editor: editor, active: func() bool { return false }, now: time.Now, log: logger, audit: logger}
		running.Go(func() { w.run(ctx) })
		for i, secret := range []token.SecretID{own.SecretID(), {1}, {2}} {
			rec := schema.Token{Owner: "User:a", Requester: "User:a", Secret: secret, Times: token.Times{Issued: time.Now(), Expires: time.Now().Add(time.Hour), Max: time.Now().Add(time.Hour)}}
			if err := editor.CreateToken(ctx, string(rune('a'+i)), rec); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := log.count("made with another secret"); n != min(i, 1) {
				t.Errorf("after %d tokens: warned %d times\n%s", i+1, n, log.b.String())
			}
		}
	})
}

// The agent logs a warning if it makes delegation tokens and no listener offers SCRAM.
func TestTokensWithoutScram(t *testing.T) {
	for want, mechanisms := range [][]string{{"SCRAM-SHA-256"}, {"PLAIN"}} {
		c := DefaultConfig()
		c.Security.Tokens.SecretFile = "secret"
		c.Listeners = []Listener{{Name: "USERS", Protocol: "SASL_SSL", SASL: ListenerSASL{Mechanisms: mechanisms}}}
		log := new(text)
		warnOfTokenSettings(&c, slog.New(slog.NewTextHandler(log, nil)))
		if log.count("nobody can log in by a delegation token here") != want {
			t.Errorf("%s: %s", mechanisms, log.b.String())
		}
	}
}

// Settings of tokens that make no sense are named.
func TestTokenSettings(t *testing.T) {
	c := DefaultConfig()
	c.Security.Tokens.MaxLifetime, c.Security.Tokens.Expiry = 0, -time.Second
	err := c.Validate()
	for _, want := range []string{"security.delegation_tokens.max_lifetime is 0s", "security.delegation_tokens.expiry is -1s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
	c = DefaultConfig()
	c.Security.Tokens.SecretFile = t.TempDir() + "/none"
	if err := c.CheckFiles(vfs.OS{}); err == nil || !strings.Contains(err.Error(), "security.delegation_tokens.secret_file: ") {
		t.Error(err)
	}
}
