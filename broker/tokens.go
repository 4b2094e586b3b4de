package broker

import (
	"cmp"
	"errors"
	"log/slog"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/auth/sasl"
	"varve/auth/token"
	"varve/cluster"
	"varve/internal/chance"
	"varve/metadata/schema"
)

// tokenAPIs serve the APIs of delegation tokens.
type tokenAPIs struct {
	issuer *token.Issuer // nil: there are none
	tokens *cluster.Tokens
	editor *cluster.Editor
	random *chance.Source
	audit  *slog.Logger

	answers     *pool // bytes of answers that describe tokens, until clients have taken them
	answerBytes int64 // of that pool
}

func newTokenAPIs(deps *Deps, answerBytes int64) *tokenAPIs {
	return &tokenAPIs{issuer: deps.Tokens, tokens: cluster.NewTokens(deps.View), editor: deps.Editor, random: deps.Random, audit: deps.Audit, answers: newPool(answerBytes), answerBytes: answerBytes}
}

// allowed returns why a caller may not ask about tokens, or nil: as by Kafka it must have proved
// who it is, other than by a token, which would live for ever if it could make others.
func (api *tokenAPIs) allowed(c *caller) error {
	if !c.proven || c.token != "" {
		return kerr.DelegationTokenRequestNotAllowed
	}
	return nil
}

// enabled returns why there are no tokens, or nil.
func (api *tokenAPIs) enabled() error {
	if api.issuer == nil {
		return kerr.DelegationTokenAuthDisabled
	}
	return nil
}

// shown returns the id of the token whose HMAC a client has shown.
func (api *tokenAPIs) shown(c *caller, hmac []byte) (string, error) {
	if err := cmp.Or(api.allowed(c), api.enabled()); err != nil {
		return "", err
	}
	id, ok := api.tokens.Find(token.ProofOf(hmac))
	if t, there := api.tokens.Get(id); !ok || !there || t.Secret != api.issuer.SecretID() {
		return "", kerr.DelegationTokenNotFound
	}
	return id, nil
}

// Principals of tokens, and all renewers of one, are bounded; Kafka bounds neither.
const (
	maxRenewers      = 64
	maxTokenNames    = 2 << 10 // bytes of the names of a token's renewers
	maxPrincipalName = 1 << 10
)

// userType is the only type of principals that tokens know.
const userType = "User"

// splitPrincipal returns the type and the name of a principal.
func splitPrincipal(p string) (kind, name string) {
	kind, name, _ = strings.Cut(p, ":")
	return kind, name
}

// errNames: a principal of a token is missing or too long.
var errNames = refuse(kerr.InvalidRequest, "The principals of a delegation token must have names of 1 to %d bytes, and there may be %d renewers with names of %d bytes together", maxPrincipalName, maxRenewers, maxTokenNames)

func checkPrincipalName(name string) error {
	if name == "" || len(name) > maxPrincipalName {
		return errNames
	}
	return nil
}

// timeOf returns the time in an answer that has none for an error: as by Kafka -1 if its broker
// finds it, 0 if its controller does.
func timeOf(err error) int64 {
	for _, k := range []error{kerr.DelegationTokenRequestNotAllowed, kerr.DelegationTokenAuthorizationFailed, kerr.InvalidPrincipalType} {
		if errors.Is(err, k) {
			return -1
		}
	}
	return 0
}

// verifiersOf makes a token's for all mechanisms of SCRAM.
func verifiersOf(hmac []byte, random *chance.Source) (map[schema.ScramMechanism]schema.ScramCredential, error) {
	out := map[schema.ScramMechanism]schema.ScramCredential{}
	for _, name := range []string{sasl.ScramSHA256, sasl.ScramSHA512} {
		c, err := sasl.NewCredential(name, token.Password(hmac), sasl.MinIterations, random)
		if err != nil {
			return nil, err
		}
		out[scramMechanisms[name]] = schema.ScramCredential{Iterations: int32(c.Iterations), Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey}
	}
	return out, nil
}

// tokenCredentials finds those of delegation tokens for SASL. A token that another secret has made
// isn't there.
func tokenCredentials(tokens *cluster.Tokens, issuer *token.Issuer) func(id, mechanism string) (sasl.TokenCredential, bool) {
	if issuer == nil {
		return nil
	}
	return func(id, mechanism string) (sasl.TokenCredential, bool) {
		t, _ := tokens.Get(id)
		c, ok := t.Scram[scramMechanisms[mechanism]]
		_, owner := splitPrincipal(t.Owner)
		return sasl.TokenCredential{Credential: sasl.Credential{Iterations: int(c.Iterations), Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey}, Owner: owner, Expires: t.Expires},
			ok && t.Secret == issuer.SecretID()
	}
}
