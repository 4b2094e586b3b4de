package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// kafkaService is the first part of the brokers' principals.
const kafkaService = "kafka"

// tickets returns GSSAPI: with a user by the key in a keytab, or by the password, without a user
// by what kinit left.
func (c *connection) tickets() (sasl.Mechanism, error) {
	file := cmp.Or(os.Getenv("KRB5_CONFIG"), "/etc/krb5.conf")
	conf, err := config.Load(file)
	if err != nil {
		return nil, usagef("GSSAPI: read %s (environment: KRB5_CONFIG): %w", file, err)
	}
	password := ""
	if c.user != "" && c.keytab == "" {
		if password, err = c.secret(); err != nil {
			return nil, err
		}
	}
	return ticketMechanism{kerberos.Kerberos(func(context.Context) (kerberos.Auth, error) {
		cl, err := c.ticketClient(conf, password)
		return kerberos.Auth{Client: cl, Service: kafkaService}, err
	})}, nil
}

// ticketMechanism is GSSAPI with an error of its own where there is no ticket to be had.
type ticketMechanism struct{ sasl.Mechanism }

// Authenticate begins a session.
func (m ticketMechanism) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	s, first, err := m.Mechanism.Authenticate(ctx, host)
	var usage usageError
	if err != nil && !errors.As(err, &usage) {
		if name, _, bad := net.SplitHostPort(host); bad == nil {
			host = name
		}
		err = &ticketError{host, err}
	}
	return s, first, err
}

// ticketError says that a KDC gives no ticket for a broker.
type ticketError struct {
	host string
	err  error
}

func (e *ticketError) Unwrap() error { return e.err }

func (e *ticketError) Error() string {
	return fmt.Sprintf("get a ticket of Kerberos for %s/%s: %s", kafkaService, e.host, e.reason())
}

// reason says what the KDC means, if it says something that users come across. The library's errors
// say all that was done, and are no chain.
func (e *ticketError) reason() string {
	text := e.err.Error()
	says := func(code string) bool { return strings.Contains(text, code) }
	switch {
	case says("KDC_ERR_S_PRINCIPAL_UNKNOWN"):
		advice := "is that the name of the broker's host in its principal?"
		if net.ParseIP(e.host) != nil {
			advice = "use the name of the broker's host instead of its address (--brokers)"
		}
		return fmt.Sprintf("the KDC doesn't know this service (KDC_ERR_S_PRINCIPAL_UNKNOWN): %s", advice)
	case says("KDC_ERR_C_PRINCIPAL_UNKNOWN"):
		return "the KDC doesn't know the user (KDC_ERR_C_PRINCIPAL_UNKNOWN): --user"
	case says("KDC_ERR_PREAUTH_FAILED"), says("client password/keytab incorrect"):
		return "the password is wrong, or the keytab has another key than the KDC (--password-file, --keytab)"
	case says("KRB_AP_ERR_SKEW"):
		return "the clocks of this host and the KDC differ too much (KRB_AP_ERR_SKEW)"
	}
	return text
}

// ticketClient returns a client of the KDC, for one connection.
func (c *connection) ticketClient(conf *config.Config, password string) (*client.Client, error) {
	if c.user == "" {
		name := strings.TrimPrefix(cmp.Or(os.Getenv("KRB5CCNAME"), fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid())), "FILE:")
		cache, err := credentials.LoadCCache(name)
		if err != nil {
			return nil, usagef("GSSAPI without --user needs a ticket in a file (kinit; environment: KRB5CCNAME): %w", err)
		}
		return client.NewFromCCache(cache, conf)
	}
	user, realm, _ := strings.Cut(c.user, "@")
	realm = cmp.Or(realm, conf.LibDefaults.DefaultRealm)
	if c.keytab == "" {
		return client.NewWithPassword(user, realm, password, conf, client.DisablePAFXFAST(true)), nil
	}
	if err := tlsfile.Private(vfs.OS{}, c.keytab); err != nil {
		return nil, usagef("keytab: %w", err)
	}
	keys, err := keytab.Load(c.keytab)
	if err != nil {
		return nil, usagef("keytab: %s is no keytab: %w", c.keytab, err)
	}
	return client.NewWithKeytab(user, realm, keys, conf, client.DisablePAFXFAST(true)), nil
}
