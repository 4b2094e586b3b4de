package agent

import (
	"context"
	"fmt"
	"net"
	"slices"

	"varve/admin"
)

// web is where this agent answers HTTP.
type web struct {
	server   *admin.Server
	listener net.Listener
}

// openHTTP starts the admin server, if one is configured: before anything that a start
// may have to wait for, so that it can be asked what that is.
func (a *Agent) openHTTP(_, _ context.Context) error {
	if a.cfg.HTTP == "" {
		return nil
	}
	l, err := a.deps.Listen("tcp", a.cfg.HTTP)
	if err != nil {
		return err
	}
	o := admin.Options{Profiles: a.cfg.Pprof, Hosts: append(a.cfg.names(), a.deps.Hostname), Log: a.log.With("part", "http")}
	a.http = &web{admin.New(a.startup, a.deps.Registry, o), l}
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
// if it is bound to all interfaces, at the host that Kafka's clients get.
func (a *Agent) advertisedHTTP() string {
	bound := a.HTTPAddress()
	host, port, err := net.SplitHostPort(bound)
	if err != nil {
		return bound
	}
	if ip := net.ParseIP(host); (host == "" || ip != nil && ip.IsUnspecified()) && len(a.doors.endpoints) > 0 {
		return net.JoinHostPort(a.doors.endpoints[0].Host, port)
	}
	return bound
}
