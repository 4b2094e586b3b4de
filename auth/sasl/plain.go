package sasl

import (
	"bytes"
	"context"
	"errors"
	"unicode/utf8"
)

// plainExchange is PLAIN: one message of authorization id, user and password, with zero bytes
// between them. The password is checked against a verifier of SCRAM.
type plainExchange struct {
	server *Server
	from   string
	user   string
	over   bool
}

func (e *plainExchange) Claimed() string { return e.user }

func (e *plainExchange) Step(ctx context.Context, message []byte) ([]byte, *Identity, error) {
	if e.over {
		return nil, nil, failed("", "a message after the last")
	}
	e.over = true
	if len(message) > MaxMessage {
		return nil, nil, failed("", "a message of %d bytes", len(message))
	}
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 {
		return nil, nil, failed("", "Invalid SASL/PLAIN response: expected 3 tokens, got %d", len(parts))
	}
	if !utf8.Valid(message) {
		return nil, nil, failed("", "the message is not UTF-8")
	}
	as, user, password := string(parts[0]), string(parts[1]), string(parts[2])
	e.user = user
	switch {
	case user == "":
		return nil, nil, said("Authentication failed: username not specified")
	case password == "":
		return nil, nil, said("Authentication failed: password not specified")
	}
	ok, err := e.server.check(ctx, e.from, user, password)
	switch {
	case err != nil:
		return nil, nil, err
	case !ok:
		return nil, nil, said("Authentication failed: Invalid username or password")
	case as != "" && as != user:
		return nil, nil, said(otherIdentity)
	}
	return nil, &Identity{User: user}, nil
}

// otherIdentity is Kafka's text for a client that wants to be another user than it proves to be.
const otherIdentity = "Authentication failed: Client requested an authorization id that is different from username"

// said is a failure whose reason the client may know.
func said(text string) error { return &Failure{Text: text, Err: errors.New(text)} }

// check reports whether a password is a user's. It waits for its turn to hash.
func (s *Server) check(ctx context.Context, from, user, password string) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longestWait, ErrBusy)
	defer cancel()
	if err := s.hashing.take(ctx, from); err != nil {
		return false, err
	}
	defer s.hashing.give()
	mechanism := ScramSHA256 // the one that costs less, and that of users who don't exist
	c, known := s.lookup(user, mechanism)
	if !known {
		if strong, ok := s.lookup(user, ScramSHA512); ok {
			mechanism, c, known = ScramSHA512, strong, true
		}
	}
	if !known {
		c = s.madeUp(user, mechanism)
	}
	return c.matches(mechanism, password) && known, nil
}
