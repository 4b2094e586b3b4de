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
	return fmt.Sprintf("get a ticket of Kerberos for %s/%s: %v", kafkaService, e.host, e.err)
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
