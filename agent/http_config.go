package agent

import (
	"errors"
	"fmt"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// HTTPConfig is where and to whom this agent answers HTTP.
type HTTPConfig struct {
	HTTP      string      `yaml:"http" doc:"host:port of health, metrics and the admin API; empty: none"`
	HTTPHosts []string    `yaml:"http_hosts" doc:"additional host names that requests to the admin API may use, besides IP addresses, localhost, the host's name and the names in other settings. Requests for other names are refused, so that a web page can't use a visitor's browser to send requests"`
	HTTPTLS   ListenerTLS `yaml:"http_tls" doc:"TLS of the HTTP address; without a certificate it is plain"`
	HTTPAuth  string      `yaml:"http_auth" doc:"who may use the HTTP address: none, everybody who reaches it; basic, users with their passwords, or with bearer tokens if security.oauth is set, who need DESCRIBE on the cluster to read, and ALTER to change anything or to profile, where security.authorizer is acl. /livez, /healthz and /readyz are open to everybody. Empty: basic where security.authorizer is acl, else none"`
	Pprof     bool        `yaml:"pprof" doc:"serve /debug/pprof on the HTTP address"`
}

// What http_auth may be.
const (
	HTTPOpen  = "none"
	HTTPBasic = "basic"
)

// httpWantsUsers reports whether HTTP is for users only.
func (c *Config) httpWantsUsers() bool {
	if c.HTTPAuth == "" {
		return c.Security.Authorizer == AuthorizerACL
	}
	return c.HTTPAuth == HTTPBasic
}

// httpTakesTokens reports whether users may show a bearer token on HTTP instead of a password: where
// users are wanted, and the settings say which tokens are good.
func (c *Config) httpTakesTokens() bool {
	return c.HTTP != "" && c.httpWantsUsers() && c.Security.OAuth.On()
}

func (c *HTTPConfig) validate() error {
	var errs []error
	if _, _, err := splitAddress(c.HTTP); c.HTTP != "" && err != nil {
		errs = append(errs, fmt.Errorf("http is %q: must be host:port or empty", c.HTTP))
	}
	if c.HTTPAuth != "" && c.HTTPAuth != HTTPOpen && c.HTTPAuth != HTTPBasic {
		errs = append(errs, fmt.Errorf("http_auth is %q: must be %s, %s or empty", c.HTTPAuth, HTTPOpen, HTTPBasic))
	}
	l := Listener{Protocol: protocolTLS, TLS: c.HTTPTLS}
	if c.HTTPTLS != (ListenerTLS{}) {
		l.validateTLS(func(format string, args ...any) { errs = append(errs, fmt.Errorf("http_"+format, args...)) })
	}
	return errors.Join(errs...)
}

func (c *HTTPConfig) checkFiles(fs vfs.FS) error {
	if c.HTTPTLS == (ListenerTLS{}) || c.validate() != nil {
		return nil
	}
	_, err := c.open(fs)
	return err
}

// open reads the files of TLS; nil is plain HTTP.
func (c *HTTPConfig) open(fs vfs.FS) (*tlsfile.Server, error) {
	if c.HTTPTLS == (ListenerTLS{}) {
		return nil, nil
	}
	l := Listener{TLS: c.HTTPTLS}
	s, err := tlsfile.OpenServer(fs, l.files())
	if err != nil {
		return nil, fmt.Errorf("http_tls: %w", err)
	}
	return s, nil
}
