package e2e

import (
	"context"
	"encoding/base64"
	bigendian "encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

// believer is an agent that believes a provider of tokens.
type believer struct {
	*testing.T
	*process
	broker string // the listener with OAUTHBEARER
	http   string
}

func newBeliever(t *testing.T, jwks, issuer, audience string) *believer {
	t.Helper()
	b := &believer{T: t, broker: freeAddr(t), http: freeAddr(t)}
	config := filepath.Join(t.TempDir(), "varve.yaml")
	text := fmt.Sprintf(`listeners:
- {name: PLAINTEXT, bind: "%s"}
- {name: TOKENS, bind: "%s", protocol: SASL_PLAINTEXT, sasl: {mechanisms: [OAUTHBEARER]}}
security:
  oauth: {jwks_url: "%s", issuer: "%s", audience: "%s"}
`, freeAddr(t), b.broker, jwks, issuer, audience)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.process = start(t, exec.Command(binary, "dev", "--data", t.TempDir(), "--http-listen", b.http, "--config", config))
	awaitPage(t, b.process, "http://"+b.http+"/readyz")
	return b
}

// provider is an OpenID provider that nobody here wrote, and an agent that believes it.
type provider struct {
	*believer
	oidc *mockoidc.MockOIDC
	mu   sync.Mutex // guards oidc's key
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := new(provider)
	var err error
	if p.oidc, err = mockoidc.NewServer(nil); err != nil {
		t.Fatal(err)
	}
	err = p.oidc.AddMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			next.ServeHTTP(w, r)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.oidc.Start(l, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.oidc.Shutdown() })
	p.believer = newBeliever(t, p.oidc.JWKSEndpoint(), p.oidc.Issuer(), p.oidc.ClientID)
	return p
}

// token returns one that the provider makes, for so long.
func (p *provider) token(life time.Duration) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, err := p.oidc.SessionStore.NewSession("openid", "", mockoidc.DefaultUser(), "", "")
	if err != nil {
		return "", err
	}
	c := p.oidc.Config()
	c.AccessTTL = life
	return s.AccessToken(c, p.oidc.Keypair, time.Now())
}

// claims returns those of a good token.
func (p *provider) claims() *jwt.RegisteredClaims {
	now := time.Now()
	return &jwt.RegisteredClaims{Issuer: p.oidc.Issuer(), Subject: "mallory", Audience: jwt.ClaimStrings{p.oidc.ClientID}, ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)), IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now)}
}

// rotate gives the provider another key, and forgets the one from before.
func (p *provider) rotate() {
	p.Helper()
	k, err := mockoidc.RandomKeypair(2048)
	if err != nil {
		p.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oidc.Keypair = k
}

// metric returns the value of a line of the metrics.
func (p *believer) metric(line string) string {
	p.Helper()
	page, err := get("http://" + p.http + "/metrics")
	if err != nil {
		p.Fatal(err)
	}
	for l := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(l, line+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func bearer(token string) kgo.Opt { return kgo.SASL(oauth.Auth{Token: token}.AsMechanism()) }

// Tokens of a provider that nobody here wrote let franz-go in; all others don't, and the log says
// why without having the token.
func TestTokens(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	good, err := p.token(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := exchange(t, "tokens", "good", kgo.SeedBrokers(p.broker), bearer(good)); err != nil {
		t.Fatalf("a good token: %v\n%s", err, p.log)
	}
	if !strings.Contains(p.log.String(), "client.principal=User:"+mockoidc.DefaultUser().ID()) {
		t.Error("the token's subject is not in the log")
	}
	stranger, err := mockoidc.RandomKeypair(2048)
	if err != nil {
		t.Fatal(err)
	}
	if stranger.Kid, err = p.oidc.Keypair.KeyID(); err != nil {
		t.Fatal(err)
	}
	sign := func(k *mockoidc.Keypair, change func(c *jwt.RegisteredClaims)) string {
		c := p.claims()
		change(c)
		token, err := k.SignJWT(c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ours := p.oidc.Keypair
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, p.claims()).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	confused, err := jwt.NewWithClaims(jwt.SigningMethodHS256, p.claims()).SignedString(ours.PublicKey.N.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	later := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(d)) }
	var wg sync.WaitGroup
	bad := map[string]string{
		"expired":           sign(ours, func(c *jwt.RegisteredClaims) { c.ExpiresAt = later(-time.Minute) }),
		"no end":            sign(ours, func(c *jwt.RegisteredClaims) { c.ExpiresAt = nil }),
		"future":            sign(ours, func(c *jwt.RegisteredClaims) { c.NotBefore = later(time.Hour) }),
		"other audience":    sign(ours, func(c *jwt.RegisteredClaims) { c.Audience = jwt.ClaimStrings{"other"} }),
		"other issuer":      sign(ours, func(c *jwt.RegisteredClaims) { c.Issuer = "http://evil" }),
		"wrong key":         sign(stranger, func(*jwt.RegisteredClaims) {}),
		"algorithm none":    none,
		"symmetric":         confused,
		"changed":           parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin"}`)) + "." + parts[2],
		"without signature": parts[0] + "." + parts[1] + ".",
	}
	for name, token := range bad {
		wg.Go(func() {
			if err := exchange(t, "tokens", name, kgo.SeedBrokers(p.broker), bearer(token)); err == nil {
				t.Errorf("%s: let in", name)
			}
		})
	}
	wg.Wait()
	if n := p.metric(`varve_kafka_authentications_total{mechanism="OAUTHBEARER",result="failure"}`); n == "" || len(n) == 1 && n < "9" {
		t.Errorf("%s failures counted", n)
	}
	log := p.log.String()
	for _, token := range append([]string{good}, none, confused, bad["expired"], bad["wrong key"]) {
		if strings.Contains(log, strings.Split(token, ".")[1][:30]) {
			t.Error("the log has a token")
		}
	}
	for _, want := range []string{"authentication failed", "the token is refused", "tokens are sent unencrypted", "JWKS read"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// While clients run, they authenticate again with new tokens before theirs expire, and the
// provider's key changes: nothing is lost, and no session expires.
func TestTokensAreRenewedAndKeysRotated(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	var lost disconnects
	var made atomic.Int32
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.broker), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("renewed"), kgo.WithHooks(&lost),
		kgo.SASL(oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			made.Add(1)
			token, err := p.token(5 * time.Second)
			return oauth.Auth{Token: token}, err
		})))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	until := time.Now().Add(16 * time.Second)
	for n, rotated := 0, false; time.Now().Before(until); n++ {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 1000)}).FirstErr(); err != nil {
			t.Fatalf("record %d: %v\n%s", n, err, p.log)
		}
		if !rotated && time.Until(until) < 9*time.Second {
			p.rotate()
			rotated = true
		}
	}
	if n := made.Load(); n < 6 {
		t.Errorf("%d tokens were made: the clients don't authenticate again", n)
	}
	if n := lost.Load(); n != 0 {
		t.Errorf("%d connections were lost\n%s", n, p.log)
	}
	if n := p.metric("varve_kafka_expired_sessions_total"); n != "0" {
		t.Errorf("%s sessions expired", n)
	}
	if n := p.metric(`varve_kafka_authentications_total{mechanism="OAUTHBEARER",result="failure"}`); n != "" && n != "0" {
		t.Errorf("%s authentications failed\n%s", n, p.log)
	}
	if n := p.metric(`varve_oauth_jwks_refreshes_total{result="success"}`); n == "0" || n == "1" {
		t.Errorf("the keys were read %s times", n)
	}
}

// A client that doesn't authenticate again is cut off at its first request after its token's end.
func TestExpiredTokensEndConnections(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	token, err := p.token(4 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", p.broker)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(req kmsg.Request, version int16) (kmsg.Response, error) {
		req.SetVersion(version)
		if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
			return nil, err
		}
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return nil, err
		}
		b := make([]byte, bigendian.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			return nil, err
		}
		resp := req.ResponseKind()
		resp.SetVersion(version)
		return resp, resp.ReadFrom(b[4:])
	}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism = "OAUTHBEARER"
	if _, err := ask(handshake, 1); err != nil {
		t.Fatal(err)
	}
	login := kmsg.NewPtrSASLAuthenticateRequest()
	login.SASLAuthBytes = []byte("n,,\x01auth=Bearer " + token + "\x01\x01")
	resp, err := ask(login, 1)
	if err != nil {
		t.Fatal(err)
	}
	life := time.Duration(resp.(*kmsg.SASLAuthenticateResponse).SessionLifetimeMillis) * time.Millisecond
	if life <= 0 || life > 4*time.Second {
		t.Fatalf("the session lasts for %v", life)
	}
	if _, err := ask(kmsg.NewPtrListGroupsRequest(), 0); err != nil {
		t.Errorf("before the token's end: %v", err)
	}
	time.Sleep(life + 100*time.Millisecond) // the token's end: there is nothing else to wait for
	if _, err := ask(kmsg.NewPtrListGroupsRequest(), 0); err == nil {
		t.Error("served after the token's end")
	}
	if n := p.metric("varve_kafka_expired_sessions_total"); n != "1" {
		t.Errorf("%s sessions expired", n)
	}
}

// An agent starts while the provider is away, and lets clients in once it was there; then it may go
// again.
func TestProviderMayBeAway(t *testing.T) {
	t.Parallel()
	p := newProvider(t) // the settings need the address
	token, err := p.token(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := exchange(t, "away", "before", kgo.SeedBrokers(p.broker), bearer(token)); err != nil {
		t.Fatal(err)
	}
	addr := p.oidc.Server.Addr
	if err := p.oidc.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if err := exchange(t, "away", "during", kgo.SeedBrokers(p.broker), bearer(token)); err != nil {
		t.Errorf("while the provider is away: %v", err)
	}
	args, env := p.cmd.Args, p.cmd.Env
	p.stop()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
	p.process = start(t, cmd)
	awaitPage(t, p.process, "http://"+p.http+"/readyz")
	if err := exchange(t, "away", "restarted", kgo.SeedBrokers(p.broker), bearer(token)); err == nil {
		t.Error("let in without keys")
	}
	if !strings.Contains(p.log.String(), "tokens can't be checked until it is") {
		t.Error("the log has no warning")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p.oidc.Server = nil
	if err := p.oidc.Start(l, nil); err != nil {
		t.Fatal(err)
	}
	poll(t, time.Minute, "let in again", func() error {
		return exchange(t, "away", "again", kgo.SeedBrokers(p.broker), bearer(token))
	})
}
