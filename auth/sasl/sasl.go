// Package sasl is the server's side of SASL: a state machine for each mechanism, without
// sockets or store.
//
// It promises that a user who doesn't exist gets the same messages, for the same work, as one
// who gives a wrong password; that a message costs no more than its size; and that only a
// bounded number of passwords is hashed at a time, for clients of each source in turn, so that logins
// leave the processors to others.
// It never logs, and no error of it holds a secret.
package sasl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"varve/internal/chance"
)

// The mechanisms.
const (
	Plain       = "PLAIN"         // RFC 4616
	ScramSHA256 = "SCRAM-SHA-256" // RFC 5802, RFC 7677
	ScramSHA512 = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER" // RFC 7628
	GSSAPI      = "GSSAPI"      // RFC 4752, by Kerberos
)

// Mechanisms returns all that there are.
func Mechanisms() []string { return append(PasswordMechanisms(), OAuthBearer, GSSAPI) }

// PasswordMechanisms returns those by which users prove that they know a password, the
// strongest first.
func PasswordMechanisms() []string { return []string{ScramSHA512, ScramSHA256, Plain} }

// MaxMessage is how large a client's message may be.
const MaxMessage = 32 << 10

// Identity is who was authenticated.
type Identity struct {
	User    string
	Expires time.Time // when what proved it expires; zero: never
	Token   string    // the id of the delegation token that proved it; "": none did
}

// Exchange is one authentication. Its methods must not be called by several at a time.
type Exchange interface {
	// Step takes the client's next message and returns the answer. The exchange is over when
	// who is not nil, or after an error, which is a *Failure unless ctx ended or it is ErrBusy.
	Step(ctx context.Context, message []byte) (answer []byte, who *Identity, err error)
	// Claimed returns whom the client says it is, "" if it hasn't said so yet.
	Claimed() string
}

// Failure is an authentication that failed.
type Failure struct {
	Text string // for the client; "" is Kafka's text for all failures that tell nothing
	Err  error  // for the log
	// Challenge is what the client gets first, if the mechanism has that. It answers with one more
	// message, for which Step returns the same failure without a challenge.
	Challenge []byte
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the reason.
func (f *Failure) Unwrap() error { return f.Err }

func failed(text, format string, args ...any) error {
	return &Failure{Text: text, Err: fmt.Errorf(format, args...)}
}

// Options are what a Server needs.
type Options struct {
	// Lookup returns a user's credential for a mechanism of SCRAM.
	Lookup func(user, mechanism string) (Credential, bool)
	// Token returns the credential of a delegation token for a mechanism of SCRAM, by its id
	// (KIP-48); also of one that has expired, which the caller of Step sees by who.Expires. nil: there are no such tokens.
	Token func(id, mechanism string) (TokenCredential, bool)
	// Secret keys what is made up for users who don't exist. All agents of a cluster need the
	// same: else two agents would tell such a user from others.
	Secret []byte
	Random *chance.Source // of nonces; nil is the system's
	// Hashes is how many passwords are hashed at a time, 1 or more.
	Hashes int
	// Bearer checks a token of OAUTHBEARER, and returns whose it is and when it expires. It may
	// wait until ctx ends. After an error user is whom the token names, if its issuer said so.
	// nil: there is no such mechanism.
	Bearer func(ctx context.Context, token string) (user string, expires time.Time, err error)
	// Accept takes the token by which a client of GSSAPI establishes a context. After an error client
	// is whom the ticket names, if it is good so far. nil: there is no such mechanism.
	Accept func(token []byte) (established SecurityContext, client string, err error)
}

// TokenCredential is the verifier of a delegation token, and whose it is.
type TokenCredential struct {
	Credential
	Owner   string // a user
	Expires time.Time
}

// Server begins exchanges. Many may use it at a time.
type Server struct {
	o       Options
	hashing *turns
}

// NewServer makes a server.
func NewServer(o Options) *Server {
	return &Server{o, newTurns(max(1, o.Hashes))}
}

// ErrBusy ends an exchange that waited too long for its turn.
var ErrBusy = errors.New("too many passwords wait to be checked")

// longestWait is how long an exchange waits for its turn.
const longestWait = 10 * time.Second

// Begin returns an exchange of a mechanism, which must be one of Mechanisms. from is the source of
// the client, such as its network: sources take turns.
func (s *Server) Begin(mechanism, from string) (Exchange, error) {
	switch {
	case mechanism == Plain:
		return &plainExchange{server: s, from: from}, nil
	case mechanism == OAuthBearer && s.o.Bearer != nil:
		return &bearerExchange{server: s}, nil
	case mechanism == GSSAPI && s.o.Accept != nil:
		return &gssapiExchange{server: s}, nil
	case slices.Contains(PasswordMechanisms(), mechanism):
		return &scramExchange{server: s, mechanism: mechanism}, nil
	}
	return nil, fmt.Errorf("mechanism %q is unknown", mechanism)
}
