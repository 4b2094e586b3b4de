// SASLAuthenticate, versions 0 to 2: 0 messages of a mechanism (KIP-152), 1 how long the client
// stays authenticated (KIP-368).

package broker

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
	"varve/kafka"
)

// afterLogin is Kafka's text for a message of a mechanism after the login.
var afterLogin = "SaslAuthenticate request received after successful authentication"

func saslAuthenticate(ctx context.Context, c *conn, r *request) error {
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SetVersion(r.Version)
	if err := kafka.Decode(r.body, req); err != nil {
		return err
	}
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(r.Version)
	if c.login.done() {
		resp.ErrorCode, resp.ErrorMessage = kerr.IllegalSaslState.Code, &afterLogin
		return c.send(r, resp)
	}
	answer, err := c.login.token(ctx, req.SASLAuthBytes, time.Now())
	var failure *sasl.Failure
	switch {
	case errors.As(err, &failure) && failure.Challenge != nil:
		if err := c.tell(ctx, r.arrived, err); err != nil {
			return err
		}
		answer = failure.Challenge
	case errors.As(err, &failure):
		text := c.login.failure(failure)
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, &text
		return c.refuseLogin(ctx, r, resp, c.login.mechanism, c.login.exchange.Claimed(), err)
	case err != nil:
		return err
	}
	resp.SASLAuthBytes = answer
	if c.login.step == loggedIn {
		resp.SessionLifetimeMillis = c.login.lifetime(time.Now())
		c.welcome(c.login.mechanism, "User:"+c.login.user)
	}
	return c.send(r, resp)
}
