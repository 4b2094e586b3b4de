package s3store

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// tune sets up an HTTP transport for few hosts and large bodies.
func (c Config) tune(tr *http.Transport) error {
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
	tr.TLSClientConfig.InsecureSkipVerify = c.TLS.InsecureSkipVerify
	if c.TLS.CAFile == "" {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if err := tlsfile.AddAuthorities(pool, vfs.OS{}, c.TLS.CAFile); err != nil {
		return fmt.Errorf("tls.ca_file: %w", err)
	}
	tr.TLSClientConfig.RootCAs = pool
	return nil
}
