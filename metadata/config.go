package metadata

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// Config is how to reach etcd.
type Config struct {
	// Endpoints are URLs of etcd's client listeners: http://host:port,
	// https://host:port or unix:///path. All must have the same scheme.
	Endpoints []string `yaml:"endpoints" doc:"URLs of etcd's client listeners: http://host:port, https://host:port or unix:///path. All must have the same scheme"`
	// Prefix stands before every key; clusters that share an etcd differ in it.
	// It begins and ends with a slash.
	Prefix string `yaml:"prefix" doc:"prefix of every key, different for each cluster that shares an etcd; begins and ends with a slash"`
	// TLS applies to https endpoints.
	TLS TLSConfig `yaml:"tls" doc:"applies to https endpoints"`
	// Username and Password are those of etcd's own authentication; both or none.
	Username string `yaml:"username" doc:"user name for etcd; needs etcd.password too"`
	Password string `yaml:"password" secret:"true" doc:"password for etcd; needs etcd.username too"`
	// PasswordFile is where Password is read from, again when etcd wants it.
	PasswordFile string `yaml:"password_file" doc:"file with the password for etcd; read again when etcd refuses the one from before"`
	// DialTimeout bounds the making of one connection, and how long Open waits
	// for the first answer.
	DialTimeout time.Duration `yaml:"dial_timeout" doc:"connection timeout, also at start"`
	// RequestTimeout bounds every request; one that takes longer is ErrUnavailable.
	RequestTimeout time.Duration `yaml:"request_timeout" doc:"request timeout"`
	// KeepHistory is for how long etcd remembers what keys held (KeepHistory).
	KeepHistory time.Duration `yaml:"keep_history" doc:"age of etcd history to keep. The controller compacts older history, for all users of this etcd, and also defragments an etcd that is full. 0: never compact"`

	// here is the etcd in this process that is asked without a connection; nil: there is none.
	here *etcdserver.EtcdServer
}

// TLSConfig is how https endpoints are checked, and how they may check us.
type TLSConfig struct {
	// CAFile holds the PEM certificates that the server's must come from; empty
	// means the system's.
	CAFile string `yaml:"ca_file" doc:"PEM file of the certificate authorities that must have signed the server's certificate; empty: the system's"`
	// CertFile and KeyFile are PEM file of the client certificate, or of its key; both or none.
	CertFile string `yaml:"cert_file" doc:"PEM file of the client certificate or of its private key. Set both or none"`
	KeyFile  string `yaml:"key_file" doc:"PEM file of the client certificate or of its private key. Set both or none"`
	// ServerName is the name that the server's certificate must have; empty
	// means the endpoint's host.
	ServerName string `yaml:"server_name" doc:"name that the server's certificate must have; empty: the endpoint's host"`
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" doc:"accept any certificate; for tests only"`
}

// DefaultConfig is a configuration for an etcd on this host.
func DefaultConfig() Config {
	return Config{
		Endpoints:      []string{"http://127.0.0.1:2379"},
		Prefix:         "/varve/default/",
		DialTimeout:    5 * time.Second,
		RequestTimeout: 5 * time.Second,
		KeepHistory:    time.Minute,
	}
}

// Validate returns all that is wrong, each with the field, its value and what is allowed.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	at := "" // the first endpoint
	if len(c.Endpoints) > 0 {
		at = c.Endpoints[0]
	} else {
		bad("endpoints: [], allowed is at least one URL")
	}
	first, _, _ := strings.Cut(at, "://")
	for _, e := range c.Endpoints {
		errs = append(errs, checkEndpoint(e, first))
	}
	if len(c.Prefix) < 3 || !strings.HasPrefix(c.Prefix, "/") || !strings.HasSuffix(c.Prefix, "/") {
		bad("prefix: %q, allowed is a name between slashes, like /varve/default/", c.Prefix)
	}
	switch password := c.Password != "" || c.PasswordFile != ""; { // what is wrong with the file is said where it is read
	case c.Username != "" && !password:
		bad("username: %q without etcd.password, allowed is a user name and a password together, or neither; 'varve config' hides passwords, so add it to a file from there, or give etcd.password_file", c.Username)
	case c.Username == "" && password:
		bad("username: \"\" with etcd.password, allowed is a user name and a password together, or neither")
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		bad("tls.cert_file: %q with tls.key_file: %q, allowed is both or neither", c.TLS.CertFile, c.TLS.KeyFile)
	}
	if c.TLS != (TLSConfig{}) && first != "https" && at != "" {
		bad("tls: set with endpoint %q, allowed is tls with https endpoints only", withoutUser(at))
	}
	if d := c.KeepHistory; d != 0 && (d < 10*time.Second || d > 24*time.Hour) {
		bad("keep_history: %v, allowed is 0 or 10s to 24h", d)
	}
	errs = append(errs, checkTimeout("dial_timeout", c.DialTimeout), checkTimeout("request_timeout", c.RequestTimeout))
	return errors.Join(errs...)
}

// LogValue shows where etcd is and hides the password.
func (c Config) LogValue() slog.Value {
	shown := make([]string, len(c.Endpoints))
	for i, e := range c.Endpoints {
		shown[i] = withoutUser(e)
	}
	return slog.GroupValue(slog.Any("endpoints", shown), slog.String("prefix", c.Prefix), slog.String("username", c.Username))
}

// CheckFiles reads the files that the configuration names. That one is missing is Validate's
// to say.
func (c Config) CheckFiles() error {
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		c.TLS.CertFile, c.TLS.KeyFile = "", ""
	}
	_, err := c.client()
	return err
}

// withoutUser hides a name and password before a host, which endpoints may not have.
func withoutUser(endpoint string) string {
	scheme, rest, ok := strings.Cut(endpoint, "://")
	if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 {
		return scheme + "://<hidden>" + rest[at:]
	}
	return endpoint
}

func checkEndpoint(e, scheme string) error {
	const allowed = "allowed is http://host:port, https://host:port or unix:///path"
	u, err := url.Parse(e)
	if err != nil {
		return fmt.Errorf("endpoints: %q, %s", withoutUser(e), allowed)
	}
	switch u.Scheme {
	case "http", "https":
		host, port, err := net.SplitHostPort(u.Host)
		if err != nil || host == "" || port == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("endpoints: %q, %s", withoutUser(e), allowed)
		}
	case "unix":
		if u.Host != "" || len(u.Path) < 2 {
			return fmt.Errorf("endpoints: %q, %s", withoutUser(e), allowed)
		}
	default:
		return fmt.Errorf("endpoints: %q, %s", withoutUser(e), allowed)
	}
	if u.Scheme != scheme {
		return fmt.Errorf("endpoints: %q beside %s endpoints, allowed is one scheme for all", withoutUser(e), scheme)
	}
	return nil
}

func checkTimeout(field string, d time.Duration) error {
	if d < 10*time.Millisecond || d > 5*time.Minute {
		return fmt.Errorf("%s: %v, allowed is 10ms to 5m", field, d)
	}
	return nil
}

// client makes the TLS settings for https endpoints, nil for others.
func (c Config) client() (*tls.Config, error) {
	if !strings.HasPrefix(c.Endpoints[0], "https://") {
		return nil, nil
	}
	t := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.TLS.ServerName,
		InsecureSkipVerify: c.TLS.InsecureSkipVerify,
	}
	if c.TLS.CAFile != "" {
		t.RootCAs = x509.NewCertPool()
		if err := tlsfile.AddAuthorities(t.RootCAs, vfs.OS{}, c.TLS.CAFile); err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
	}
	if c.TLS.CertFile != "" {
		cert, err := tlsfile.KeyPair(vfs.OS{}, c.TLS.CertFile, c.TLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file, tls.key_file: %w", err)
		}
		t.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}
