package sasl

import (
	"bytes"
	"context"
	"encoding/base64"
	"unicode/utf8"

	"github.com/xdg-go/scram"
)

// newScram makes the library's server of a mechanism.
func (s *Server) newScram(mechanism string) *scram.Server {
	lookup := func(user string) (scram.StoredCredentials, error) {
		c := s.credential(user, mechanism)
		return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(c.Salt), Iters: c.Iterations}, StoredKey: c.StoredKey, ServerKey: c.ServerKey}, nil
	}
	server, err := scram.HashGeneratorFcn(hashes[mechanism]).NewServer(lookup)
	if err != nil {
		panic("sasl: " + err.Error()) // the library returns none
	}
	return server.WithNonceGenerator(func() string {
		var b [18]byte
		_, _ = s.o.Random.Read(b[:]) // never fails
		return base64.StdEncoding.EncodeToString(b[:])
	})
}

// scramExchange is SCRAM: two messages from either side, of which none has the password. The
// library's state machine does the work; what it is lenient about is checked here.
type scramExchange struct {
	conversation *scram.ServerConversation
	started      bool
	over         bool
}

func (e *scramExchange) Claimed() string { return e.conversation.Username() }

func (e *scramExchange) Step(_ context.Context, message []byte) ([]byte, *Identity, error) {
	if e.over {
		return nil, nil, failed("", "a message after the last")
	}
	if err := e.check(message); err != nil {
		e.over = true
		return nil, nil, err
	}
	e.started = true
	answer, err := e.conversation.Step(string(message))
	if err != nil {
		e.over = true
		return nil, nil, failed("", "%w", err)
	}
	if !e.conversation.Done() {
		if as := e.conversation.AuthzID(); as != "" && as != e.conversation.Username() {
			e.over = true
			return nil, nil, said(otherIdentity)
		}
		return []byte(answer), nil, nil
	}
	e.over = true
	if !e.conversation.Valid() {
		return nil, nil, failed("", "the proof is invalid")
	}
	return []byte(answer), &Identity{e.conversation.Username()}, nil
}

// check refuses what RFC 5802's grammar doesn't allow and the library does.
func (e *scramExchange) check(message []byte) error {
	switch {
	case len(message) > MaxMessage:
		return failed("", "a message of %d bytes", len(message))
	case !utf8.Valid(message) || bytes.IndexByte(message, 0) >= 0:
		return failed("", "the message is not text")
	}
	if e.started {
		return nil
	}
	fields := bytes.SplitN(message, []byte(","), 5) // flag, authorization id, user, nonce, extensions
	if len(fields) < 4 || bytes.Equal(fields[2], []byte("n=")) {
		return failed("", "the first message names no user")
	}
	nonce, ok := bytes.CutPrefix(fields[3], []byte("r="))
	if !ok || len(nonce) == 0 || bytes.ContainsFunc(nonce, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return failed("", "the client's nonce is empty or not printable")
	}
	return nil
}
