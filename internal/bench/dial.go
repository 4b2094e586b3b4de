package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// dial connects and authenticates; the connection is closed when ctx ends.
func (c *Config) dial(ctx context.Context, addr string) (conn net.Conn, release func(), err error) {
	if conn, err = c.connect(ctx, "tcp", addr); err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	release = func() { stop(); conn.Close() }
	if err := c.login(ctx, conn, addr); err != nil {
		release()
		return nil, nil, fmt.Errorf("authenticate with %s: %w", addr, err)
	}
	return conn, release, nil
}

func (c *Config) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.Dial == nil {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return c.Dial(ctx, network, addr)
}

// Versions of the requests of SASL that every broker serves.
const (
	saslHandshakeVersion    = 1
	saslAuthenticateVersion = 0
)

// login authenticates a new connection.
func (c *Config) login(ctx context.Context, conn net.Conn, addr string) error {
	if c.SASL == nil {
		return nil
	}
	in := answers{r: bufio.NewReader(conn)} // nothing follows an answer that wasn't asked for
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version, hello.Mechanism = saslHandshakeVersion, c.SASL.Name()
	said := kmsg.NewPtrSASLHandshakeResponse()
	said.Version = hello.Version
	if err := in.ask(conn, hello, said, 0); err != nil {
		return err
	}
	if err := kerr.ErrorForCode(said.ErrorCode); err != nil {
		return err
	}
	session, message, err := c.SASL.Authenticate(ctx, addr)
	done := false
	for n := int32(1); err == nil && (!done || len(message) > 0); n++ {
		r := kmsg.NewPtrSASLAuthenticateRequest()
		r.Version, r.SASLAuthBytes = saslAuthenticateVersion, message
		answer := kmsg.NewPtrSASLAuthenticateResponse()
		answer.Version = r.Version
		if err := in.ask(conn, r, answer, n); err != nil {
			return err
		}
		if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
			return err
		}
		if done {
			return nil
		}
		done, message, err = session.Challenge(answer.SASLAuthBytes)
	}
	return err
}

// ask sends a request and reads its answer.
func (a *answers) ask(conn net.Conn, request kmsg.Request, answer kmsg.Response, correlation int32) error {
	if _, err := conn.Write(frame(request, correlation)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	body, err := a.next(correlation, false)
	if err == nil {
		err = answer.ReadFrom(body)
	}
	return err
}
