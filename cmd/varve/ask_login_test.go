package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"varve/agent"
	"varve/auth/sasl"
)

// Commands show agents the token of a profile, and what they may do is what the token's user may.
func TestTokensOverHTTP(t *testing.T) {
	profilesIn(t)
	i := newIssuer(t)
	a := startAgent(t, i.believed, func(c *agent.Config) {
		c.Security.Authorizer, c.Security.SuperUsers = agent.AuthorizerACL, []string{"User:alice"}
	})
	alice, bob, late := i.token("alice", time.Hour), i.token("bob", time.Hour), i.token("late", -time.Hour)
	as := func(file string) string {
		return "cluster health --http " + a.http + " --sasl OAUTHBEARER --password-file " + file
	}
	const unknown = 2                // how the cluster is
	must(t, "", as(alice)+" --wait") // an agent that has just started doesn't know yet how its bucket is
	wants(t, command(t, "", as(bob)), unknown, "User:bob isn't allowed DESCRIBE on the cluster")
	wants(t, command(t, "", as(late)), unknown, "the token isn't good")
	wants(t, command(t, "", "cluster health --http "+a.http), unknown, "or a token")
	must(t, "", "profile create tokens --brokers "+a.kafka+" --http "+a.http+" --sasl OAUTHBEARER --password-file "+alice)
	must(t, "", "cluster health")
}

// demander is an agent that wants what its test says, and notes what it gets.
type demander struct {
	*httptest.Server
	mu   sync.Mutex
	gets []string // values of Authorization
}

func newDemander(t *testing.T, secure bool, offers ...string) *demander {
	t.Helper()
	d := new(demander)
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.gets = append(d.gets, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") == "" {
			for _, o := range offers {
				w.Header().Add("WWW-Authenticate", o)
			}
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	if secure {
		d.StartTLS()
	} else {
		d.Start()
	}
	t.Cleanup(d.Close)
	return d
}

// ask asks it by a login, at another name for its address if there is one, and returns what it got.
func (d *demander) ask(t *testing.T, conn connection, host string) ([]string, error) {
	t.Helper()
	l, err := newWebLogin(conn)
	if err != nil {
		t.Fatal(err)
	}
	transport := d.Client().Transport.(*http.Transport).Clone()
	at := d.URL
	if host != "" {
		transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(d.URL) } // which reaches it by this name
		at = "http://" + host
	}
	l.client.Transport = transport
	req, err := http.NewRequestWithContext(context.WithValue(t.Context(), webLoginKey{}, l), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := do(req)
	if err == nil {
		resp.Body.Close()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gets, err
}

// A token is sent as a bearer token, only to who asked for one, and only where nobody else can read it. It is
// never sent as a password, nor is a password of Kerberos.
func TestSecretsAreSentOnlyWhenAsked(t *testing.T) {
	token := connection{mechanism: sasl.OAuthBearer, password: "tok.en.x"}
	named := connection{mechanism: sasl.OAuthBearer, user: "alice", password: "tok.en.x"}
	user := connection{user: "alice", password: "secret"}
	ticket := connection{mechanism: sasl.GSSAPI, user: "alice", password: "kerberos"}
	const basic, bearer = `Basic realm="varve"`, `Bearer realm="varve"`
	for _, c := range []struct {
		what   string
		conn   connection
		secure bool
		offers []string
		host   string // another name, by plain HTTP
		gets   string
		err    error
	}{
		{"a token", token, true, []string{basic, bearer}, "", "|Bearer tok.en.x", nil},
		{"a token with a user", named, true, []string{basic, bearer}, "", "|Bearer tok.en.x", nil},
		{"a token to this host", token, false, []string{basic, bearer}, "", "|Bearer tok.en.x", nil},
		{"a token where a password is wanted", token, true, []string{basic}, "", "", nil},
		{"a token with a user where a password is wanted", named, true, []string{basic}, "", "", nil},
		{"a token to another host", token, false, []string{basic, bearer}, "agent.example:9644", "", errPlainPassword},
		{"a password", user, true, []string{basic, bearer}, "", "|Basic YWxpY2U6c2VjcmV0", nil},
		{"a password to another host", user, false, []string{basic}, "agent.example:9644", "", errPlainPassword},
		{"a password of Kerberos", ticket, true, []string{basic, bearer}, "", "", nil},
		{"nothing", connection{}, true, []string{basic, bearer}, "", "", nil},
	} {
		d := newDemander(t, c.secure, c.offers...)
		gets, err := d.ask(t, c.conn, c.host)
		if strings.Join(gets, "|") != c.gets || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %q, %v", c.what, gets, err)
		}
	}
}

// A redirection takes no secret out of TLS.
func TestRedirectionsKeepSecrets(t *testing.T) {
	for at, fine := range map[string]bool{"https://agent.example/": true, "http://127.0.0.1:1/": true, "http://agent.example/": false} {
		for _, authorization := range []string{"", "Bearer x"} {
			req := httptest.NewRequest("GET", at, nil)
			if authorization != "" {
				req.Header.Set("Authorization", authorization)
			}
			if err := keepSecret(req, make([]*http.Request, 1)); (err == nil) != (fine || authorization == "") {
				t.Errorf("%s with %q: %v", at, authorization, err)
			}
			if err := keepSecret(req, make([]*http.Request, maxRedirects)); err == nil {
				t.Error("redirections have no end")
			}
		}
	}
}

// TestRedirectionsOfStrangers: an answer that somebody on the way may have put in leads no password anywhere, also not to where
// nobody can read it but its owner.
func TestRedirectionsOfStrangers(t *testing.T) {
	got := make(chan string, 1)
	thief := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			got <- a
		}
		w.Header().Add("WWW-Authenticate", `Basic realm="varve"`)
		w.Header().Add("WWW-Authenticate", `Bearer realm="varve"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer thief.Close()
	way := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer way.Close()
	transport := thief.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == "agent.example:80" {
			addr = way.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for _, l := range []*webLogin{{user: "admin"}, {token: true}} {
		l.client = &http.Client{Transport: transport, CheckRedirect: keepSecret}
		l.secret = func() (string, error) { return "secret", nil }
		for at, led := range map[string]bool{"http://agent.example/": false, way.URL: true} { // nobody is between this host and itself
			req, err := http.NewRequestWithContext(context.WithValue(t.Context(), webLoginKey{}, l), http.MethodGet, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := do(req)
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != led || !led && !errors.Is(err, errPlainPassword) {
				t.Errorf("%s: %v", at, err)
			}
			select {
			case a := <-got:
				if !led {
					t.Errorf("%s led %q to a stranger", at, a)
				}
			default:
				if led {
					t.Errorf("%s led nothing", at)
				}
			}
		}
	}
}

// TestHMACsAreNoPasswords: the HMAC of a delegation token isn't sent by HTTP, which takes none.
func TestHMACsAreNoPasswords(t *testing.T) {
	var c connection
	f := pflag.NewFlagSet("t", pflag.ContinueOnError)
	c.add(f)
	c.addProfile(f)
	for line, user := range map[string]string{"--user id --token": "", "--user alice": "alice"} {
		for _, name := range []string{"user", "token"} {
			_ = f.Set(name, f.Lookup(name).DefValue)
		}
		if err := f.Parse(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		l, err := newWebLogin(*connectionOf(f))
		if err != nil || l.user != user || l.token {
			t.Errorf("%s: %+v, %v", line, l, err)
		}
	}
}
