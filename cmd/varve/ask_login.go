package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// webLogin is how a command asks agents over HTTP: with TLS where the address is https, and as a
// user where an agent wants to know.
type webLogin struct {
	client *http.Client
	user   string
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
	user := conn.user
	if conn.byToken() || conn.token {
		user = "" // a token is no password
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	return &webLogin{&http.Client{Transport: transport}, user, sync.OnceValues(conn.secret)}, nil
}

// errPlainPassword: a password isn't sent where others can read it.
var errPlainPassword = errors.New("it wants a password over plain HTTP, which others could read: use https:// (http_tls), or an address of this host")

// do sends a request without a body. A password is sent only to an agent that wants one.
func do(req *http.Request) (*http.Response, error) {
	login, _ := req.Context().Value(webLoginKey{}).(*webLogin)
	if login == nil {
		return http.DefaultClient.Do(req)
	}
	resp, err := login.client.Do(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || login.user == "" {
		return resp, err
	}
	resp.Body.Close()
	at := resp.Request.URL // of another agent, if the first one said so
	if at.Scheme != "https" && !isLoopback(at.Hostname()) {
		return nil, errPlainPassword
	}
	password, err := login.secret()
	if err != nil {
		return nil, err
	}
	again := req.Clone(req.Context())
	again.URL, again.Host = at, ""
	again.SetBasicAuth(login.user, password)
	return login.client.Do(again)
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
