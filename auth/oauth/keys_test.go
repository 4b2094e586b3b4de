package oauth

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"varve/internal/vfs"
)

// idp is a source of keys that can be away.
type idp struct {
	mu    sync.Mutex
	set   string
	err   error
	reads []time.Time
}

func (i *idp) read(ctx context.Context) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reads = append(i.reads, time.Now())
	return []byte(i.set), i.err
}

func (i *idp) every() (usual, most time.Duration) { return 5 * time.Minute, 5 * time.Second }

func (i *idp) be(set string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.set, i.err = set, err
}

func (i *idp) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.reads)
}

// withIDP runs a validator with an idp in fake time.
func withIDP(t *testing.T, set string, away error, f func(t *testing.T, v *Validator, i *idp, log *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		log := new(bytes.Buffer)
		cfg := config()
		cfg.JWKSFile, cfg.JWKSURL = "", "https://idp/keys"
		v, err := Open(cfg, Deps{FS: vfs.NewMemory(), Log: slog.New(slog.NewTextHandler(log, nil)), Registry: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		i := &idp{set: set, err: away}
		v.keys.source = i
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			v.Run(ctx)
		}()
		f(t, v, i, log)
		cancel()
		<-done
	})
}

// fresh returns the claims of a token that is good in fake time.
func fresh() claims {
	return good(claims{"exp": float64(time.Now().Add(24 * time.Hour).Unix()), "iat": nil, "nbf": nil})
}

var errAway = errors.New("connection refused")

// While the issuer is unavailable the last keys stay valid. Before its keys were read once, every token
// is refused. It is asked again after pauses that grow.
func TestIssuerMayBeAway(t *testing.T) {
	withIDP(t, "", errAway, func(t *testing.T, v *Validator, i *idp, log *bytes.Buffer) {
		token := sign(t, "p256", jose.ES256, "p256", fresh())
		if _, err := v.Verify(t.Context(), token); err == nil || !strings.Contains(err.Error(), "no keys have been read yet: connection refused") {
			t.Errorf("before the first keys: %v", err)
		}
		time.Sleep(10 * time.Minute)
		if n := i.count(); n < 15 || n > 60 {
			t.Errorf("asked %d times in 10 minutes", n)
		}
		i.be(jwks("p256"), nil)
		time.Sleep(time.Minute)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
		i.be("", errAway)
		time.Sleep(12 * time.Hour)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("the issuer is away: %v", err)
		}
		i.be("nonsense", nil)
		time.Sleep(time.Hour)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("the issuer answers nonsense: %v", err)
		}
		if age := testutil.CollectAndCount(v.keys); age != 2 {
			t.Errorf("%d metrics", age)
		}
		if bad := testutil.ToFloat64(v.keys.metrics.refreshes.WithLabelValues("failure")); bad < 100 {
			t.Errorf("%v failures counted", bad)
		}
		i.be(jwks("p256"), nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{"tokens can't be checked until it is", "JWKS read", "keys from before stay in use", "keys from before stay in use", "JWKS read"}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != len(want) {
			t.Fatalf("logged:\n%s", log)
		}
		for n, w := range want {
			if !strings.Contains(lines[n], w) {
				t.Errorf("line %d: %s; want %q", n, lines[n], w)
			}
		}
	})
}

// A token with a new key makes the validator read the keys, and waits for that. Tokens with unknown
// keys don't make it read them more often than every few seconds. A removed key is no longer accepted.
func TestKeysAreRotated(t *testing.T) {
	withIDP(t, jwks("p256"), nil, func(t *testing.T, v *Validator, i *idp, _ *bytes.Buffer) {
		first, second := sign(t, "p256", jose.ES256, "p256", fresh()), sign(t, "ed", jose.EdDSA, "ed", fresh())
		synctest.Wait()
		time.Sleep(time.Minute)
		i.be(jwks("ed"), nil)
		if _, err := v.Verify(t.Context(), first); err != nil {
			t.Errorf("the old key, which isn't known to be gone: %v", err)
		}
		began := time.Now()
		if _, err := v.Verify(t.Context(), second); err != nil || time.Since(began) > time.Second {
			t.Errorf("the new key after %v: %v", time.Since(began), err)
		}
		if _, err := v.Verify(t.Context(), first); err == nil {
			t.Error("a key that is gone still counts")
		}
		before := i.count()
		var wg sync.WaitGroup
		for n := range 1000 {
			wg.Go(func() {
				time.Sleep(time.Duration(n) * 60 * time.Millisecond)
				if _, err := v.Verify(t.Context(), sign(t, "p256", jose.ES256, fmt.Sprint("unknown", n), fresh())); err == nil {
					t.Error("let in")
				}
			})
		}
		wg.Wait()
		if n := i.count() - before; n < 2 || n > 15 {
			t.Errorf("asked %d times in a minute", n)
		}
		// Without an id each key may be meant, so a new one is looked for as well.
		i.be(jwks("p256"), nil)
		if _, err := v.Verify(t.Context(), sign(t, "p256", jose.ES256, "", fresh())); err != nil {
			t.Errorf("a new key without an id: %v", err)
		}
		// A wrong signature by a known key is no reason to ask.
		before = i.count()
		if _, err := v.Verify(t.Context(), sign(t, "other", jose.ES256, "p256", fresh())); err == nil || i.count() != before {
			t.Errorf("%v, asked %d times", err, i.count()-before)
		}
	})
}

// Without a reason the keys are read as often as the settings say.
func TestKeysAreReadAgain(t *testing.T) {
	withIDP(t, jwks("p256"), nil, func(t *testing.T, v *Validator, i *idp, log *bytes.Buffer) {
		time.Sleep(time.Hour + time.Minute)
		if n := i.count(); n != 13 {
			t.Errorf("read %d times", n)
		}
		synctest.Wait()
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("logged:\n%s", log)
		}
	})
}

// A call that waits for a key returns when its context ends.
func TestWaitsEnd(t *testing.T) {
	withIDP(t, jwks("p256"), nil, func(t *testing.T, v *Validator, i *idp, _ *bytes.Buffer) {
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if _, err := v.Verify(ctx, sign(t, "ed", jose.EdDSA, "ed", fresh())); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A file is read again when it changes; while it is broken the last keys hold.
func TestFileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := keyFile(t, jwks("p256"))
		v, err := Open(config(), Deps{FS: fs, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { v.Run(ctx) })
		first, second := sign(t, "p256", jose.ES256, "p256", fresh()), sign(t, "ed", jose.EdDSA, "ed", fresh())
		if _, err := v.Verify(t.Context(), first); err != nil {
			t.Error(err)
		}
		for _, broken := range []string{"", "{", strings.Repeat(" ", maxJWKS+1)} {
			if err := vfs.WriteFile(fs, "/", "keys.json", []byte(broken)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if _, err := v.Verify(t.Context(), first); err != nil {
				t.Error(err)
			}
		}
		if err := vfs.WriteFile(fs, "/", "keys.json", []byte(jwks("ed"))); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), second); err != nil {
			t.Errorf("a new key: %v", err)
		}
		cancel()
		wg.Wait()
	})
}

// A file that can't be used is an error at the start.
func TestBadFilesAreErrors(t *testing.T) {
	cfg := config()
	if err := cfg.CheckFiles(vfs.NewMemory()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := cfg.CheckFiles(keyFile(t, "{}")); err == nil || !strings.Contains(err.Error(), "none of the 0 keys") {
		t.Error(err)
	}
	if err := cfg.CheckFiles(keyFile(t, jwks("ed"))); err != nil {
		t.Error(err)
	}
	cfg.JWKSFile, cfg.JWKSURL, cfg.CAFile = "", "https://idp/", "/ca.pem"
	if err := cfg.CheckFiles(vfs.NewMemory()); err == nil || !strings.Contains(err.Error(), "ca_file") {
		t.Error(err)
	}
}

// Only a JWKS of bounded size, from a server that is vouched for, is taken, and redirections don't
// lead elsewhere.
func TestServersAreReadWithCare(t *testing.T) {
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, jwks("ed")) }))
	defer open.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, jwks("ed")) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range 1 << 10 {
			fmt.Fprint(w, strings.Repeat(" ", 1<<12))
		}
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	mux.HandleFunc("/around", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/around", http.StatusFound) })
	mux.HandleFunc("/open", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://idp.example/", http.StatusFound)
	})
	mux.HandleFunc("/error", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, jwks("ed"), http.StatusInternalServerError)
	})
	server := httptest.NewUnstartedServer(mux)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct{ url, ca, want string }{
		"good":              {server.URL + "/keys", ca, ""},
		"moved":             {server.URL + "/moved", ca, ""},
		"here, in the open": {open.URL, "", ""},
		"nobody vouches":    {server.URL + "/keys", "", "certificate"},
		"large":             {server.URL + "/large", ca, "more than"},
		"in circles":        {server.URL + "/around", ca, "too many redirections"},
		"to the open":       {server.URL + "/open", ca, "must begin with https"},
		"an error":          {server.URL + "/error", ca, "status 500"},
		"nothing there":     {server.URL + "/nothing", ca, "status 404"},
	} {
		cfg := config()
		cfg.JWKSFile, cfg.JWKSURL, cfg.CAFile = "", x.url, x.ca
		v, err := Open(cfg, Deps{FS: vfs.OS{}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.keys.refresh(t.Context()); (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v; want %q", name, err, x.want)
		}
	}
}
