package replica

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// TLSConfig is how agents prove to each other who they are: each has a certificate of
// the cluster's own authority, for the host that it advertises, and requires one from others.
type TLSConfig struct {
	CAFile   string `yaml:"ca_file" doc:"PEM file of the certificate authority of all agents; if set, connections between agents use mutual TLS. Set ca_file, cert_file and key_file, or none"`
	CertFile string `yaml:"cert_file" doc:"PEM file of this agent's certificate, valid for the host in peer.advertised, for both server and client use. Set ca_file, cert_file and key_file, or none"`
	KeyFile  string `yaml:"key_file" doc:"PEM file of the certificate's private key. Set ca_file, cert_file and key_file, or none"`
}

// On reports whether TLS is wanted.
func (c TLSConfig) On() bool { return c != TLSConfig{} }

// Validate names all that is missing.
func (c TLSConfig) Validate() error {
	var errs []error
	for _, f := range []struct{ name, value string }{{"ca_file", c.CAFile}, {"cert_file", c.CertFile}, {"key_file", c.KeyFile}} {
		if c.On() && f.value == "" {
			errs = append(errs, fmt.Errorf("peer.tls.%s is empty: ca_file, cert_file and key_file must be given together, or none", f.name))
		}
	}
	return errors.Join(errs...)
}

// TLS is mutual TLS between agents. It accepts no connection, and makes none, without a
// certificate of the authority.
type TLS struct {
	now atomic.Pointer[identity]
}

// identity is what was read from the files at one time.
type identity struct{ server, client *tls.Config }

func newTLS(server, client *tls.Config) *TLS {
	t := new(TLS)
	t.now.Store(&identity{server, client})
	return t
}

// Take uses what the other one has read, for connections from now on.
func (t *TLS) Take(other *TLS) { t.now.Store(other.now.Load()) }

// Load reads the files.
func (c TLSConfig) Load(fs vfs.FS) (*TLS, error) {
	authority := x509.NewCertPool()
	errAuthority := tlsfile.AddAuthorities(authority, fs, c.CAFile)
	if errAuthority != nil {
		errAuthority = fmt.Errorf("peer.tls.ca_file: %w", errAuthority)
	}
	own, errOwn := tlsfile.KeyPair(fs, c.CertFile, c.KeyFile)
	if errOwn != nil {
		errOwn = fmt.Errorf("peer.tls.cert_file, peer.tls.key_file: %w", errOwn)
	}
	if err := errors.Join(errAuthority, errOwn); err != nil {
		return nil, err
	}
	return newTLS(
		&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority, VerifyConnection: isAgent},
		&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, RootCAs: authority},
	), nil
}

// errNotAgent refuses a client of Kafka's: the same authority may vouch for those.
var errNotAgent = errors.New("the certificate is for clients only: an agent's is for servers, too")

// isAgent refuses certificates that aren't an agent's. One without a list of uses is for all.
func isAgent(state tls.ConnectionState) error {
	leaf := state.PeerCertificates[0]
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	return errNotAgent
}

// Listener makes the connections that are accepted TLS. Serve shakes hands.
func (t *TLS) Listener(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return t.now.Load().server, nil
	}})
}

// Dial makes the connections of dial TLS; the certificate must be for the address's host.
func (t *TLS) Dial(dial func(ctx context.Context, addr string) (net.Conn, error)) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		raw, err := dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		cfg := t.now.Load().client.Clone()
		cfg.ServerName = host
		c := tls.Client(raw, cfg)
		if err := c.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, fmt.Errorf("TLS with %s: %w", addr, err)
		}
		return c, nil
	}
}
