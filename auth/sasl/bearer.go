package sasl

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// bearerExchange is OAUTHBEARER (RFC 7628, KIP-255):
//
//	client: n,[a=authzid],^Aauth=Bearer token^A[key=value^A ...]^A
//	server: nothing, or, if the token isn't good, {"status":"invalid_token"}
//	client: ^A, after which the exchange fails
//
// Extensions, which are the further keys, have to be well-formed as by Kafka (KIP-342), and are
// ignored.
type bearerExchange struct {
	server  *Server
	user    string
	refused *Failure // what the client was told, and has to confirm
	over    bool
}

// Claimed returns whom the token names.
func (e *bearerExchange) Claimed() string { return e.user }

// tokenRefused is the answer to a client whose token is not valid. The reason is only logged, as in
// Kafka.
const tokenRefused = `{"status":"invalid_token"}` // #nosec G101 -- an answer

// Step takes the client's next message.
func (e *bearerExchange) Step(ctx context.Context, message []byte) ([]byte, *Identity, error) {
	switch {
	case e.refused != nil:
		f := e.refused
		e.refused, e.over = nil, true
		return nil, nil, &Failure{Text: f.Text, Err: f.Err}
	case e.over:
		return nil, nil, failed("", "a message after the last")
	}
	e.over = true
	if len(message) > MaxMessage {
		return nil, nil, failed("", "a message of %d bytes", len(message))
	}
	as, token, err := bearerMessage(string(message))
	if err != nil {
		return nil, nil, err
	}
	user, expires, err := e.server.o.Bearer(ctx, token)
	e.user = user
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil:
		e.refused = &Failure{Text: tokenRefused, Err: fmt.Errorf("the token is refused: %w", err), Challenge: []byte(tokenRefused)}
		return nil, nil, e.refused
	case as != "" && as != user:
		return nil, nil, said("Authentication failed: Client requested an authorization id that is different from the token's principal name")
	}
	return nil, &Identity{User: user, Expires: expires}, nil
}

// Kafka's patterns (OAuthBearerClientInitialResponse). A name stands for itself only where it
// has no comma and no =.
var (
	bearerHeader = regexp.MustCompile(`^[ny],(?:a=((?:[\x01-\x7F]|=2C|=3D)+))?,$`)
	bearerKey    = regexp.MustCompile(`^[A-Za-z]+$`)
	bearerValue  = regexp.MustCompile(`^[\x21-\x7E \t\r\n]+$`)
	bearerToken  = regexp.MustCompile(`^(\w+) +([-_~+/.a-zA-Z0-9]+=*)$`)
)

// bearerMessage returns what is in the client's first message. No error quotes it.
func bearerMessage(message string) (as, token string, err error) {
	header, rest, _ := strings.Cut(message, ",\x01")
	pairs, ended := strings.CutSuffix(rest, "\x01\x01")
	parts := bearerHeader.FindStringSubmatch(header + ",")
	if parts == nil || !ended {
		return "", "", failed("", "Invalid OAUTHBEARER client first message")
	}
	if parts[1] != "" {
		if as, err = saslName("a="+parts[1], "a="); err != nil || strings.Contains(parts[1], ",") {
			return "", "", failed("", "Invalid OAUTHBEARER client first message: the name is malformed")
		}
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(pairs, "\x01") {
		key, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok || !bearerKey.MatchString(key) || !bearerValue.MatchString(value):
			return "", "", failed("", "Invalid OAUTHBEARER client first message: a key or value is malformed")
		case seen[key]:
			return "", "", failed("", "Invalid OAUTHBEARER client first message: a key comes twice")
		case key == "auth":
			auth := bearerToken.FindStringSubmatch(value)
			if auth == nil || !strings.EqualFold(auth[1], "bearer") {
				return "", "", failed("", "Invalid OAUTHBEARER client first message: auth is not 'Bearer' and a token")
			}
			token = auth[2]
		}
		seen[key] = true
	}
	if token == "" {
		return "", "", failed("", "Invalid OAUTHBEARER client first message: 'auth' not specified")
	}
	return as, token, nil
}
