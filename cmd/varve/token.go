package main

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

// bearer returns OAUTHBEARER with a token. If a file has it, who renews the file gives new
// connections, and those that authenticate again, a new token.
func (c *connection) bearer(token string) sasl.Mechanism {
	return bearerMechanism{oauth.Oauth(func(context.Context) (oauth.Auth, error) {
		current := token
		if c.passwordFile != "" && c.passwordFile != "-" {
			var err error
			if current, err = c.secret(); err != nil {
				return oauth.Auth{}, err
			}
		}
		return oauth.Auth{Zid: c.user, Token: strings.TrimSpace(current)}, nil
	})}
}

// bearerMechanism is OAUTHBEARER with the end that RFC 7628 asks for when the broker refuses a
// token: the client confirms, and then gets the error as any other. The library's stops before.
type bearerMechanism struct{ sasl.Mechanism }

type bearerSession struct{ sasl.Session }

// Authenticate begins a session.
func (m bearerMechanism) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	s, first, err := m.Mechanism.Authenticate(ctx, host)
	return bearerSession{s}, first, err
}

// Challenge confirms that the token was refused.
func (s bearerSession) Challenge(resp []byte) (bool, []byte, error) {
	if len(resp) > 0 {
		return false, []byte{1}, nil
	}
	return s.Session.Challenge(resp)
}
