// SASLHandshake, versions 0 to 1: 0 the messages of the mechanism follow as frames without
// header (KIP-43), 1 in SaslAuthenticate requests (KIP-152).

package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
	"varve/kafka"
)

func saslHandshake(ctx context.Context, c *conn, r *request) error {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.SetVersion(r.Version)
	if err := kafka.Decode(r.body, req); err != nil {
		return err
	}
	resp := kmsg.NewPtrSASLHandshakeResponse()
	resp.SetVersion(r.Version)
	err := c.login.begin(req.Mechanism, r.Version, time.Now())
	if c.login != nil && !errors.Is(err, kerr.IllegalSaslState) {
		resp.SupportedMechanisms = c.login.mechanisms
	}
	if err == nil && c.login.user != "" {
		c.limit(c.b.cfg.RequestTimeout) // as a first login; welcome ends it
	}
	var code *kerr.Error
	if errors.As(err, &code) {
		resp.ErrorCode = code.Code
	}
	if errors.Is(err, errLogin) {
		return c.refuseLogin(ctx, r, resp, req.Mechanism, "", err)
	}
	return c.send(r, resp)
}

// bareToken takes a message of the mechanism after version 0 of the handshake. Failure is a
// closed connection.
func (c *conn) bareToken(ctx context.Context, message []byte) error {
	arrived := time.Now()
	answer, err := c.login.token(ctx, message, arrived)
	var failure *sasl.Failure
	switch {
	case errors.As(err, &failure):
		if err := c.tell(ctx, arrived, err); err != nil {
			return err
		}
		if failure.Challenge == nil {
			return errLogin
		}
		answer = failure.Challenge
	case err != nil:
		return err
	}
	if c.login.step == loggedIn {
		c.welcome(c.login.mechanism, "User:"+c.login.user)
		if c.login.mechanism == sasl.GSSAPI {
			return nil // the last message is the client's: an empty frame would be taken for the next answer
		}
	}
	out := &response{frame: [][]byte{append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...)}}
	out.ready.Store(true)
	return c.queue(out)
}
