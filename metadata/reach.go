package metadata

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// untrustedError is a connection that TLS refused: here or there a certificate or a name is
// wrong, which waiting doesn't mend.
type untrustedError struct{ err error }

func (e *untrustedError) Error() string { return e.err.Error() }
func (e *untrustedError) Unwrap() error { return e.err }

// reachPatience bounds a try to reach one endpoint.
const reachPatience = 2 * time.Second

// unreached reports why no endpoint answers, which etcd's client keeps to itself; nil if one
// can be reached. It is an untrustedError if all that can be reached refuse by TLS.
func unreached(ctx context.Context, cfg Config) error {
	var errs []error
	refused := 0
	for _, e := range cfg.Endpoints {
		err := reach(ctx, cfg, e)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if errors.As(err, new(*untrustedError)) {
			refused++
		}
	}
	if err := errors.Join(errs...); refused == 0 {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	} else {
		return &untrustedError{err}
	}
}

// reach connects to an endpoint and, if it is https, shakes hands.
func reach(ctx context.Context, cfg Config, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	network, addr := "tcp", u.Host
	if u.Scheme == "unix" {
		network, addr = "unix", u.Path
	}
	d := net.Dialer{Timeout: reachPatience}
	nc, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	t, err := cfg.client()
	if err != nil || t == nil {
		return err
	}
	if t.ServerName == "" {
		t.ServerName = u.Hostname()
	}
	t.NextProtos = []string{"h2"}
	if err = shake(tls.Client(nc, t)); err != nil {
		err = fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	return err
}

// shake returns what TLS has against a connection. That the server doesn't accept our
// certificate comes after the handshake.
func shake(c *tls.Conn) error {
	if err := c.SetDeadline(time.Now().Add(reachPatience)); err != nil {
		return err
	}
	err := c.Handshake()
	if err == nil {
		_, err = c.Read(make([]byte, 1)) // the server speaks first: its settings, or an alert
	}
	var alert *net.OpError
	switch {
	case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(tls.RecordHeaderError)), errors.As(err, new(tls.AlertError)),
		errors.As(err, &alert) && alert.Op == "remote error":
		return &untrustedError{err}
	}
	return fmt.Errorf("TLS handshake: %w", err) // a server without TLS hangs up
}
