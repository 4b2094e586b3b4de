package agent

import (
	"net"
	"strconv"

	"varve/internal/tlsfile"
)

// ShownCertificate is a certificate that the agent shows to those that connect.
type ShownCertificate struct {
	Name  string // what shows it, such as "listener SSL"
	Host  string // at which that is reached; "" if it isn't known
	Files tlsfile.ServerFiles
}

// ShownCertificates returns the certificates that the settings name.
func (c *Config) ShownCertificates() (all []ShownCertificate) {
	for i := range c.Listeners {
		if l := &c.Listeners[i]; l.speaksTLS() {
			all = append(all, ShownCertificate{"listener " + l.Name, hostOf(l.Advertised), l.files()})
		}
	}
	if c.HTTP != "" && c.HTTPTLS != (ListenerTLS{}) {
		l := Listener{Protocol: protocolTLS, TLS: c.HTTPTLS}
		all = append(all, ShownCertificate{"http", "", l.files()})
	}
	if t := c.Peer.TLS; c.Peer.Bind != "" && t.On() {
		all = append(all, ShownCertificate{"peer", hostOf(c.Peer.Advertised), tlsfile.ServerFiles{Cert: t.CertFile, Key: t.KeyFile, ClientCA: t.CAFile}})
	}
	return all
}

// AdvertisedAddress is an address that others are told.
type AdvertisedAddress struct {
	Name string // such as "listener SSL"
	Addr string // host:port
}

// AdvertisedAddresses returns the addresses that others are told, as far as the settings have them.
func (c *Config) AdvertisedAddresses() (all []AdvertisedAddress) {
	add := func(l Listener, name string) {
		if l.Bind == "" {
			return
		}
		if e, err := c.advertise(l, l.Bind); err == nil {
			all = append(all, AdvertisedAddress{name, net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))})
		}
	}
	for _, l := range c.Listeners {
		add(l, "listener "+l.Name)
	}
	add(Listener{Bind: c.Peer.Bind, Advertised: c.Peer.Advertised}, "peer")
	return all
}
