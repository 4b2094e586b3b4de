package replica

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// TLSConfig is how agents prove to each other who they are: each has a certificate of
// the cluster's own authority, for the host that it advertises, and requires one from others.
type TLSConfig struct {
	CAFile   string `yaml:"ca_file" doc:"PEM file of the certificate authority of all agents; if set, connections between agents use mutual TLS. Set ca_file, cert_file and key_file, or none"`
	CertFile string `yaml:"cert_file" doc:"PEM file of this agent's certificate, valid for the host in peer.advertised, for both server and client use. Set ca_file, cert_file and key_file, or none"`
	KeyFile  string `yaml:"key_file" doc:"PEM file of the certificate's private key. Set ca_file, cert_file and key_file, or none"`
	Optional bool   `yaml:"optional" doc:"also accept plain connections from other agents, and make them to agents without TLS: while a running cluster changes to TLS. A network that can be tampered with is not protected meanwhile"`
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

// TLS is mutual TLS between agents. Without a certificate of the authority no connection is
// accepted or made, unless it is optional.
type TLS struct {
	files    *tlsfile.Server
	optional bool
}

// Load reads the files.
func (c TLSConfig) Load(fs vfs.FS) (*TLS, error) {
	files, err := tlsfile.OpenServer(fs, tlsfile.ServerFiles{Cert: c.CertFile, Key: c.KeyFile, ClientCA: c.CAFile,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13, Verify: isAgent})
	if err != nil {
		return nil, fmt.Errorf("peer.tls: %w", err)
	}
	return &TLS{files, c.Optional}, nil
}

// Files returns the files, which may be read again. Connections that are made from then on use them.
func (t *TLS) Files() *tlsfile.Server { return t.files }

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
	if t.optional {
		return &optionalListener{l, t}
	}
	return tls.NewListener(l, t.files.Config())
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
		cfg := t.files.Client()
		cfg.ServerName = host
		c := tls.Client(raw, cfg)
		err = c.HandshakeContext(ctx)
		if err == nil {
			return c, nil
		}
		raw.Close()
		if t.optional && speaksNoTLS(err) {
			if raw, err = dial(ctx, addr); err != nil {
				return nil, err
			}
			return plainConn{raw}, nil
		}
		return nil, fmt.Errorf("TLS with %s: %w", addr, err)
	}
}

// speaksNoTLS reports whether a server failed a handshake because it expects a plain connection:
// it ends one that begins with anything else, without a word.
func speaksNoTLS(err error) bool {
	return errors.As(err, new(tls.RecordHeaderError)) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// optionalListener accepts TLS and plain connections.
type optionalListener struct {
	net.Listener
	tls *TLS
}

func (l *optionalListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &optionalConn{Conn: c, tls: l.tls}, nil
}

// optionalConn is TLS if the other side begins with that. HandshakeContext finds out, and comes
// before all else.
type optionalConn struct {
	net.Conn
	tls *TLS
}

// handshakeRecord is the first byte of TLS; a plain connection begins with a frame's magic.
const handshakeRecord = 0x16

func (c *optionalConn) HandshakeContext(ctx context.Context) error {
	raw := c.Conn
	defer context.AfterFunc(ctx, func() { _ = raw.SetReadDeadline(time.Unix(1, 0)) })()
	first := make([]byte, 1)
	if _, err := io.ReadFull(raw, first); err != nil {
		return err
	}
	begun := &begunConn{raw, io.MultiReader(bytes.NewReader(first), raw)}
	if c.Conn = begun; first[0] != handshakeRecord {
		return nil
	}
	t := tls.Server(begun, c.tls.files.Config())
	c.Conn = t
	return t.HandshakeContext(ctx)
}

// plainConn is a connection that was made without TLS, which is optional.
type plainConn struct{ net.Conn }

// withoutTLS reports whether a connection is plain though TLS is on, but optional.
func withoutTLS(c net.Conn) bool {
	if accepted, ok := c.(*optionalConn); ok {
		_, encrypted := accepted.Conn.(*tls.Conn)
		return !encrypted
	}
	_, made := c.(plainConn)
	return made
}

// begunConn is a connection of which something was read.
type begunConn struct {
	net.Conn
	all io.Reader // from its begin
}

func (c *begunConn) Read(p []byte) (int, error) { return c.all.Read(p) }
