package agent

import (
	"context"
	"fmt"
	"net"

	"varve/broker"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
	"varve/metadata/schema"
	"varve/wal/replica"
)

// doors are where clients and other agents reach this one.
type doors struct {
	clients   []net.Listener     // in the order of the settings
	endpoints []schema.Endpoint  // that clients get for them
	asks      []*broker.Listener // what clients are asked for there
	certs     *certificates      // of these listeners
	peer      net.Listener       // for other agents; nil: there is none
	peerAddr  string             // that other agents get
	tls       *replica.TLS       // nil: connections with other agents are plain
}

// openDoors listens at the addresses of the settings.
func openDoors(cfg *Config, files vfs.FS, web *tlsfile.Server, deps *Deps) (_ *doors, err error) {
	d := new(doors)
	var more []*certificate
	if web != nil {
		more = append(more, &certificate{listener: "http", server: web})
	}
	if cfg.Peer.Bind != "" && cfg.Peer.TLS.On() {
		if d.tls, err = cfg.Peer.TLS.Load(files); err != nil {
			return nil, err
		}
		more = append(more, &certificate{listener: "peer", host: hostOf(cfg.Peer.Advertised), server: d.tls.Files()})
	}
	if d.certs, err = openCertificates(files, cfg.Listeners, more, deps); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	for _, l := range cfg.Listeners {
		asks, err := l.asked(d.certs)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		d.asks = append(d.asks, asks)
		nl, err := deps.Listen("tcp", l.Bind)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		d.clients = append(d.clients, nl)
		e, err := cfg.advertise(l, nl.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		d.endpoints = append(d.endpoints, e)
	}
	return d, d.openPeer(cfg, deps)
}

// openPeer takes the address for other agents, if one is configured.
func (d *doors) openPeer(cfg *Config, deps *Deps) error {
	if cfg.Peer.Bind == "" {
		return nil
	}
	l, err := deps.Listen("tcp", cfg.Peer.Bind)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	d.peer = l
	if d.tls != nil {
		d.peer = d.tls.Listener(l)
	}
	e, err := cfg.advertise(Listener{Name: "peer", Bind: cfg.Peer.Bind, Advertised: cfg.Peer.Advertised}, l.Addr().String())
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	d.peerAddr = net.JoinHostPort(e.Host, fmt.Sprint(e.Port))
	return nil
}

// close ends listening.
func (d *doors) close() {
	for _, l := range d.clients {
		l.Close()
	}
	if d.peer != nil {
		d.peer.Close()
	}
}

// advertise returns the endpoint that clients get for a listener, which is bound to the
// address bound. The host stays as the settings name it, even where it was resolved.
func (c *Config) advertise(l Listener, bound string) (schema.Endpoint, error) {
	host, port, err := splitAddress(bound)
	if err != nil {
		return schema.Endpoint{}, err
	}
	if given, _, err := splitAddress(l.Bind); err == nil && given != "" {
		host = given
	}
	if l.Advertised != "" {
		if host, port, err = splitAddress(l.Advertised); err != nil {
			return schema.Endpoint{}, err
		}
	}
	if ip := net.ParseIP(host); (host == "" || ip != nil && ip.IsUnspecified()) && !c.AdvertiseAsReached {
		return schema.Endpoint{}, fmt.Errorf("it is bound to all interfaces (%s), so advertised must say what clients connect to, such as broker-1.example:%d", bound, port)
	}
	return schema.Endpoint{Listener: l.Name, Host: host, Port: port}, nil
}

// Addresses returns where the listeners are bound, by name.
func (a *Agent) Addresses() map[string]string {
	out := map[string]string{}
	if a.doors != nil {
		for i, l := range a.doors.clients {
			out[a.cfg.Listeners[i].Name] = l.Addr().String()
		}
	}
	return out
}

func (a *Agent) listen(_, _ context.Context) (err error) {
	a.doors, err = openDoors(&a.cfg, a.files, a.http.certificate(), &a.deps)
	return err
}
