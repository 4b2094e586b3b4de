package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// webLogin is how a command asks agents over HTTP: with TLS where the address is https, and as a
// user where an agent wants to know.
type webLogin struct {
	client *http.Client
	user   string // "": there is no password
	token  bool   // secret returns a token
	secret func() (string, error)
}

// webLoginKey is where a command's context has it.
type webLoginKey struct{}

// newWebLogin returns the login of a connection.
func newWebLogin(conn connection) (*webLogin, error) {
	config, err := conn.tlsConfig()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	l := &webLogin{client: &http.Client{Transport: transport, CheckRedirect: keepSecret}, user: conn.user, token: conn.byToken(), secret: sync.OnceValues(conn.secret)}
	if conn.byToken() || conn.byTicket() || conn.token {
		l.user = "" // neither a token nor a password of Kerberos is one of the cluster's users
	}
	return l, nil
}

// errPlainPassword: a password or token isn't sent where others can read it.
var errPlainPassword = errors.New("it wants a password or a token over plain HTTP, which others could read: use https:// (http_tls), or an address of this host")

// maxRedirects is the bound of net/http.
const maxRedirects = 10

// keepSecret lets no redirection take a password or a token to where others can read it. To other hosts
// net/http takes none.
func keepSecret(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return errors.New("too many redirections")
	case req.Header.Get("Authorization") != "" && !private(req.URL):
		return errPlainPassword
	}
	return nil
}

// private reports whether others can't read what is sent to a URL.
func private(u *url.URL) bool { return u.Scheme == "https" || isLoopback(u.Hostname()) }

// wanted reports whether an agent refused a request because it wants what the login has.
func (l *webLogin) wanted(resp *http.Response) bool {
	if resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	if !l.token {
		return l.user != ""
	}
	return slices.ContainsFunc(resp.Header.Values("WWW-Authenticate"), func(offer string) bool {
		scheme, _, _ := strings.Cut(offer, " ")
		return strings.EqualFold(scheme, "Bearer")
	})
}

// do sends a request without a body. A password or token is sent only to an agent that wants one.
func do(req *http.Request) (*http.Response, error) {
	login, _ := req.Context().Value(webLoginKey{}).(*webLogin)
	if login == nil {
		return http.DefaultClient.Do(req)
	}
	resp, err := login.client.Do(req)
	if err != nil || !login.wanted(resp) {
		return resp, err
	}
	resp.Body.Close()
	at := resp.Request.URL // of another agent, if the first one said so
	if !cameInPrivate(resp) {
		return nil, errPlainPassword
	}
	secret, err := login.secret()
	if err != nil {
		return nil, err
	}
	again := req.Clone(req.Context())
	again.URL, again.Host = at, ""
	if login.token {
		again.Header.Set("Authorization", "Bearer "+strings.TrimSpace(secret))
	} else {
		again.SetBasicAuth(login.user, secret)
	}
	return login.client.Do(again)
}

// cameInPrivate reports whether others could neither read nor make up any of the answers that led to
// one: who can put in a redirection could have a password sent to himself.
func cameInPrivate(resp *http.Response) bool {
	for ; resp != nil; resp = resp.Request.Response {
		if !private(resp.Request.URL) {
			return false
		}
	}
	return true
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// webError says in plain words why an agent couldn't be asked.
func webError(addr string, err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		return &handshakeError{addr, rootCause(err)}
	case errors.Is(err, errPlainPassword), errors.As(err, new(usageError)):
		return fmt.Errorf("the agent at %s: %w", addr, err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("the agent at %s speaks plain HTTP: leave out https://", addr)
	case strings.Contains(err.Error(), "tls: certificate required"):
		return fmt.Errorf("the agent at %s asks for a client's certificate (--tls-cert, --tls-key)", addr)
	}
	return &awayError{addr, err}
}

// login notes in the command's context how agents are asked.
func (c *connection) login(ctx context.Context, p *profile) (context.Context, error) {
	conn := c.over(p)
	if err := conn.check(); err != nil {
		return nil, usageError{err}
	}
	l, err := newWebLogin(conn)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, webLoginKey{}, l), nil
}
