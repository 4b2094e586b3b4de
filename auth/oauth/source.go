package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// source is where a JWKS is read from.
type source interface {
	read(ctx context.Context) ([]byte, error)
	// every returns how often the source is read, and how often at most when a key is missing.
	every() (usual, most time.Duration)
}

// fileSource is a file. It is looked at as often as certificates are.
type fileSource struct {
	fs   vfs.FS
	name string
}

func (s fileSource) read(context.Context) ([]byte, error) { return vfs.ReadFile(s.fs, s.name, maxJWKS) }

func (s fileSource) every() (usual, most time.Duration) { return 5 * time.Second, time.Second }

// urlSource is an HTTP server.
type urlSource struct {
	fs  vfs.FS
	cfg *Config
}

// Bounds of a request for a JWKS.
const (
	requestTimeout = 10 * time.Second
	maxRedirects   = 5
	maxHeaders     = 64 << 10 // bytes
)

func (s urlSource) every() (usual, most time.Duration) { return s.cfg.Refresh, 5 * time.Second }

// authorities returns those that may vouch for the server; nil: the system's.
func (s urlSource) authorities() (*x509.CertPool, error) {
	if s.cfg.CAFile == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if err := tlsfile.AddAuthorities(pool, s.fs, s.cfg.CAFile); err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	return pool, nil
}

// read asks the server, on a new connection: that is seldom, and the file of the authorities
// may have changed.
func (s urlSource) read(ctx context.Context) ([]byte, error) {
	pool, err := s.authorities()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaders,
	}
	client := &http.Client{Transport: transport, Timeout: requestTimeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirections")
		}
		return fetchable(r.URL)
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.JWKSURL, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with status %d", s.cfg.JWKSURL, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
}
