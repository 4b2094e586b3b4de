package sasl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// SecurityContext is the acceptor's side of a context of GSS-API that its initiator has established.
type SecurityContext interface {
	// Reply returns the token that the initiator waits for; nil: none.
	Reply() []byte
	// Wrap returns a message with a proof of who sent it. The message isn't encrypted.
	Wrap(message []byte) ([]byte, error)
	// Unwrap returns the message of the initiator in a token.
	Unwrap(token []byte) ([]byte, error)
	// Names returns by which names the client may call itself, its full one first, and the user's
	// name here.
	Names() (client []string, user string)
}

// gssapiExchange is GSSAPI (RFC 4752) by Kerberos, without a security layer, as Kafka's:
//
//	client: the initiator's token
//	server: the acceptor's token, if the client asked for one
//	client: nothing
//	server: wrapped: the layers that it offers (1 byte), the size of messages (3 bytes)
//	client: wrapped: the layer that it chose (1 byte), the size of messages (3 bytes), [authzid]
//
// The server has no last message.
type gssapiExchange struct {
	server  *Server
	step    gssapiStep
	context SecurityContext
	claimed string
}

type gssapiStep uint8

// What the client's next message of GSSAPI must be.
const (
	wantInitiator gssapiStep = iota
	wantNothing
	wantLayer
	wantNoMore
)

// noLayer is the bit of the layer that neither protects nor encrypts messages.
const noLayer = 1

// layerBytes is the length of what says which layers there are.
const layerBytes = 4

// Claimed returns the principal in the client's ticket.
func (e *gssapiExchange) Claimed() string { return e.claimed }

// Step takes the client's next message.
func (e *gssapiExchange) Step(_ context.Context, message []byte) ([]byte, *Identity, error) {
	step := e.step
	e.step = wantNoMore // unless it goes on
	if len(message) > MaxMessage {
		return nil, nil, failed("", "a message of %d bytes", len(message))
	}
	switch step {
	case wantInitiator:
		answer, err := e.accept(message)
		return answer, nil, err
	case wantNothing:
		if len(message) > 0 {
			return nil, nil, failed("", "a message of %d bytes after the server's token, instead of none", len(message))
		}
		answer, err := e.offer()
		return answer, nil, err
	case wantLayer:
		who, err := e.chosen(message)
		return nil, who, err
	}
	return nil, nil, failed("", "a message after the last")
}

// accept takes the token that establishes the context.
func (e *gssapiExchange) accept(message []byte) ([]byte, error) {
	var err error
	if e.context, e.claimed, err = e.server.o.Accept(message); err != nil {
		return nil, &Failure{Err: err}
	}
	if reply := e.context.Reply(); reply != nil {
		e.step = wantNothing
		return reply, nil
	}
	return e.offer()
}

// offer returns which layers there are.
func (e *gssapiExchange) offer() ([]byte, error) {
	answer, err := e.context.Wrap([]byte{noLayer, 0, 0, 0})
	if err != nil {
		return nil, &Failure{Err: fmt.Errorf("offer the security layers: %w", err)}
	}
	e.step = wantLayer
	return answer, nil
}

// chosen takes the layer that the client chose, and as whom it wants to act. Kafka ignores that
// name; here it must be the client's own.
func (e *gssapiExchange) chosen(message []byte) (*Identity, error) {
	choice, err := e.context.Unwrap(message)
	switch {
	case err != nil:
		return nil, &Failure{Err: err}
	case len(choice) < layerBytes:
		return nil, failed("", "the chosen security layer has %d bytes, not 4 or more", len(choice))
	case choice[0] != noLayer:
		return nil, failed("", "the client chose security layer %d, which was not offered", choice[0])
	}
	as := string(choice[layerBytes:])
	if !utf8.ValidString(as) {
		return nil, &Failure{Err: errors.New("the authorization id is not UTF-8")}
	}
	names, user := e.context.Names()
	if as != "" && !slices.Contains(names, as) {
		return nil, said(otherIdentity)
	}
	return &Identity{User: user}, nil
}
