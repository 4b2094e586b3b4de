package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
	"varve/internal/mutate"
	"varve/kafka"
)

// login is how far a connection has got with SASL. A nil login is that of a listener without
// it: everything is served. The connection's reading goroutine owns it.
type login struct {
	server     *sasl.Server
	from       string   // the client's network
	mechanisms []string // that the listener offers
	maxReauth  time.Duration

	step      loginStep
	mechanism string // that is under way, or was used last
	exchange  sasl.Exchange
	refused   string    // why the exchange can't succeed: it is of another mechanism than the first one
	user      string    // who is authenticated; stays during re-authentication
	byToken   string    // the id of the delegation token that has proved it last; "": none
	began     time.Time // when the last re-authentication began
	expires   time.Time // when user has to authenticate again; zero: never
	told      bool      // the client knows that it failed, and has to confirm that
}

type loginStep uint8

// The steps of a login.
const (
	wantHandshake loginStep = iota // nothing was agreed on
	wantToken                      // a mechanism was, its messages follow in SaslAuthenticate requests
	wantBareToken                  // its messages follow as frames without a header, as after version 0 of a handshake
	loggedIn
)

// errLogin ends a connection whose client got an answer that says why.
var errLogin = errors.New("not authenticated")

// errExpired ends a connection whose client didn't authenticate again in time.
var errExpired = errors.New("the session has expired: the client has not authenticated again before max_reauth was over or its token expired")

// minReauth is how often a client may authenticate again.
const minReauth = time.Second

// maxLoginRequest is how large a request of a client may be that isn't authenticated.
const maxLoginRequest = sasl.MaxMessage + 4<<10

// done reports whether requests are served.
func (l *login) done() bool { return l == nil || l.step == loggedIn }

// bare reports whether the next frame is a message of the mechanism, without a header.
func (l *login) bare() bool { return l != nil && l.step == wantBareToken }

// admit reports whether a request may be worked on. While a client authenticates itself, that is
// only what this needs, as Kafka does, which closes the connection after anything else.
func (l *login) admit(key kmsg.Key, now time.Time) error {
	switch {
	case l == nil:
		return nil
	case l.step == loggedIn:
		if l.expires.IsZero() || now.Before(l.expires) || key == kmsg.SASLHandshake && l.mayReauth(now) || mutate.On(mutate.IgnoreExpiry) {
			return nil
		}
		return errExpired
	case key == kmsg.SASLHandshake, key == kmsg.ApiVersions, key == kmsg.SASLAuthenticate && l.step == wantToken:
		return nil
	}
	return fmt.Errorf("%w: unexpected request %s before authentication: this listener wants SASL (%v); does the client use it?", kafka.ErrFrame, key.Name(), l.mechanisms)
}

// mayReauth reports whether a client that is authenticated may do so again.
func (l *login) mayReauth(now time.Time) bool {
	return !l.expires.IsZero() && now.Sub(l.began) >= minReauth
}

// begin begins an exchange, as a handshake of this version asks.
func (l *login) begin(mechanism string, version int16, now time.Time) error {
	if l == nil || l.step == loggedIn && !l.mayReauth(now) {
		return kerr.IllegalSaslState
	}
	if l.step == wantToken {
		return fmt.Errorf("%w: %w", errLogin, kerr.IllegalSaslState)
	}
	if !slices.Contains(l.mechanisms, mechanism) {
		return fmt.Errorf("%w: %w", errLogin, kerr.UnsupportedSaslMechanism)
	}
	var err error
	if l.exchange, err = l.server.Begin(mechanism, l.from); err != nil {
		return fmt.Errorf("%w: %w", errLogin, kerr.UnsupportedSaslMechanism)
	}
	if l.step == loggedIn {
		l.began = now
		if mechanism != l.mechanism {
			l.refused = fmt.Sprintf("SASL mechanism '%s' requested by client is not supported for re-authentication of mechanism '%s'", mechanism, l.mechanism)
		}
	}
	l.mechanism, l.step = mechanism, wantToken
	if version == 0 {
		l.step = wantBareToken
	}
	return nil
}

// token takes a message of the exchange. After an error, which is a *sasl.Failure unless ctx
// ended or too many wait, the connection ends; if the failure has a challenge, after the client's next
// message.
func (l *login) token(ctx context.Context, message []byte, now time.Time) (answer []byte, err error) {
	if l.refused != "" {
		return nil, &sasl.Failure{Text: l.refused, Err: errors.New(l.refused)}
	}
	answer, who, err := l.exchange.Step(ctx, message)
	if mutate.On(mutate.StayLoggedIn) && err != nil && l.user != "" {
		who, err = &sasl.Identity{User: l.user}, nil
	}
	if err != nil || who == nil {
		return answer, err
	}
	if l.user != "" && l.user != who.User {
		text := fmt.Sprintf("Cannot change principals during re-authentication from User.%s: User.%s", l.user, who.User)
		return nil, &sasl.Failure{Text: text, Err: errors.New(text)}
	}
	if who.Token != "" && !now.Before(who.Expires) && !mutate.On(mutate.KeepTokens) {
		return nil, &sasl.Failure{Text: tokenExpired, Err: errTokenExpired}
	}
	l.user, l.byToken, l.step, l.expires = who.User, who.Token, loggedIn, l.until(who, now)
	return answer, nil
}

// tokenExpired is for a client that has shown that it has the token.
const tokenExpired = "Authentication failed: the delegation token has expired"

var errTokenExpired = errors.New("the delegation token has expired")

// until returns when a client has to authenticate again: after maxReauth, and before what proved
// who it is expires. Zero is never.
func (l *login) until(who *sasl.Identity, now time.Time) time.Time {
	end := who.Expires
	if most := now.Add(l.maxReauth); l.maxReauth > 0 && (end.IsZero() || most.Before(end)) {
		end = most
	}
	return end
}

// lifetime returns how long a client is authenticated that has just become so, in ms; 0: for ever.
func (l *login) lifetime(now time.Time) int64 {
	if l.expires.IsZero() {
		return 0
	}
	return max(1, l.expires.Sub(now).Milliseconds())
}

// failure is what a client is told.
func (l *login) failure(f *sasl.Failure) string {
	during := "authentication"
	if l.user != "" {
		during = "re-authentication"
	}
	return cmp.Or(f.Text, "Authentication failed during "+during+" due to invalid credentials with SASL mechanism "+l.mechanism)
}
