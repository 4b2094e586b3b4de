package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// tune sets up an HTTP transport for few hosts and large bodies.
func (c Config) tune(tr *http.Transport, log *slog.Logger) error {
	tr.MaxConnsPerHost = c.MaxConnections
	tr.MaxIdleConns = c.MaxConnections
	tr.MaxIdleConnsPerHost = c.MaxConnections
	tr.IdleConnTimeout = 60 * time.Second
	tr.WriteBufferSize = 64 << 10
	tr.ReadBufferSize = 64 << 10
	tr.DisableCompression = true // a stored object is returned as it is
	tr.ForceAttemptHTTP2 = false // one connection a request: large bodies don't share a window
	if tr.TLSClientConfig == nil {
		tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	tr.TLSClientConfig.InsecureSkipVerify = c.TLS.InsecureSkipVerify // #nosec G402 -- false unless a setting for tests says so
	if c.TLS.CAFile == "" {
		return nil
	}
	pool, err := authorities(c.TLS.CAFile)
	if err != nil {
		return err
	}
	tr.TLSClientConfig.RootCAs = pool
	trusted := &trust{file: c.TLS.CAFile, log: log}
	trusted.last.Store(pool)
	dial, patience := tr.DialContext, tr.TLSHandshakeTimeout
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	config := tr.TLSClientConfig
	tr.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn, err := shake(ctx, raw, trusted.config(config, addr), patience)
		if err != nil {
			raw.Close()
		}
		return conn, err
	}
	return nil
}

// trust is whom to believe, by a file that may be replaced at any time.
type trust struct {
	file string
	log  *slog.Logger
	last atomic.Pointer[x509.CertPool] // that could be read
}

// config returns the settings of one more connection. If the file can't be used, what was read from it
// last counts.
func (t *trust) config(from *tls.Config, addr string) *tls.Config {
	config := from.Clone()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		config.ServerName = host
	}
	if pool, err := authorities(t.file); err != nil {
		t.log.Error("changed authorities of the object store not used: those from before stay in use", "err", err)
	} else {
		t.last.Store(pool)
	}
	config.RootCAs = t.last.Load()
	return config
}

func shake(ctx context.Context, raw net.Conn, config *tls.Config, patience time.Duration) (net.Conn, error) {
	if patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	conn := tls.Client(raw, config)
	return conn, conn.HandshakeContext(ctx)
}

// authorities returns the system's authorities and those of the file.
func authorities(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if err := tlsfile.AddAuthorities(pool, vfs.OS{}, file); err != nil {
		return nil, fmt.Errorf("tls.ca_file: %w", err)
	}
	return pool, nil
}
