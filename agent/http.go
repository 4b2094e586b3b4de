package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"

	"varve/admin"
	"varve/auth/sasl"
	"varve/broker"
	"varve/internal/tlsfile"
)

// web is where this agent answers HTTP.
type web struct {
	server   *admin.Server
	listener net.Listener
	tls      *tlsfile.Server // nil: plain
	users    webUsers
}

// webUsers lets the broker decide who may use HTTP, once there is one.
type webUsers struct {
	broker atomic.Pointer[broker.Broker]
	tokens bool // there are some
}

func (u *webUsers) Authenticate(ctx context.Context, client, user, password string) (string, error) {
	b := u.broker.Load()
	if b == nil {
		return "", admin.ErrNotYet
	}
	who, err := b.Authenticate(ctx, client, user, password)
	return who, webFailure(err)
}

// AuthenticateToken returns the principal of a token.
func (u *webUsers) AuthenticateToken(ctx context.Context, client, token string) (string, error) {
	b := u.broker.Load()
	if b == nil {
		return "", admin.ErrNotYet
	}
	who, err := b.AuthenticateToken(ctx, client, token)
	return who, webFailure(err)
}

// Tokens reports whether tokens are checked.
func (u *webUsers) Tokens() bool { return u.tokens }

// webFailure returns the error that HTTP knows.
func webFailure(err error) error {
	if errors.Is(err, sasl.ErrBusy) {
		return admin.ErrBusy
	}
	return err
}

func (u *webUsers) Allowed(principal, client string, change bool) bool {
	return u.broker.Load().MayOperate(principal, client, change)
}

// openHTTP starts the admin server, if one is configured: before anything that a start
// may have to wait for, so that it can be asked what that is.
func (a *Agent) openHTTP(_, _ context.Context) error {
	if a.cfg.HTTP == "" {
		return nil
	}
	files, err := a.cfg.HTTPConfig.open(a.files)
	if err != nil {
		return err
	}
	l, err := a.deps.Listen("tcp", a.cfg.HTTP)
	if err != nil {
		return err
	}
	a.http = &web{listener: l, tls: files}
	if files != nil {
		config := files.Config()
		config.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, config)
	}
	o := admin.Options{Profiles: a.cfg.Pprof, Hosts: append(a.cfg.names(), a.deps.Hostname), Log: a.log.With("part", "http"), Audit: a.audit()}
	if a.cfg.httpWantsUsers() {
		o.Access = &a.http.users
		a.http.users.tokens = a.cfg.httpTakesTokens()
		if ip := net.ParseIP(hostOf(a.cfg.HTTP)); files == nil && (ip == nil || !ip.IsLoopback()) {
			a.log.Warn("passwords are sent unencrypted: HTTP has no TLS (http_tls)", "http", a.cfg.HTTP)
		}
	}
	a.http.server = admin.New(a.startup, a.deps.Registry, o)
	a.run(func() {
		if err := a.http.server.Serve(l); err != nil {
			a.die(fmt.Errorf("http: %w", err))
		}
	})
	return nil
}

// names are the names that the settings give this agent, by which its HTTP may be asked for.
func (c *Config) names() []string {
	addrs := []string{c.HTTP, c.Peer.Bind, c.Peer.Advertised}
	for _, l := range c.Listeners {
		addrs = append(addrs, l.Bind, l.Advertised)
	}
	all := slices.Clone(c.HTTPHosts)
	for _, addr := range addrs {
		if host, _, err := splitAddress(addr); err == nil && host != "" {
			all = append(all, host)
		}
	}
	return all
}

func (a *Agent) closeHTTP(ctx context.Context) {
	if a.http == nil {
		return
	}
	if err := a.http.server.Close(ctx); err != nil {
		a.log.Debug("admin API", "err", err)
	}
}

// HTTPAddress is where the admin server listens, or "".
func (a *Agent) HTTPAddress() string {
	if a.http == nil {
		return ""
	}
	return a.http.listener.Addr().String()
}

// advertisedHTTP is where the other agents and the command line reach the admin API:
// if it is bound to all interfaces, at the host that Kafka's clients get. With TLS it is a URL.
func (a *Agent) advertisedHTTP() string {
	addr := a.HTTPAddress()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); (host == "" || ip != nil && ip.IsUnspecified()) && len(a.doors.endpoints) > 0 {
		addr = net.JoinHostPort(a.doors.endpoints[0].Host, port)
	}
	if a.http.tls != nil {
		return "https://" + addr
	}
	return addr
}

// certificate returns that of HTTP, nil without TLS or HTTP.
func (w *web) certificate() *tlsfile.Server {
	if w == nil {
		return nil
	}
	return w.tls
}

// hostOf returns the host of an address.
func hostOf(addr string) string {
	host, _, _ := splitAddress(addr) // it was checked
	return host
}
