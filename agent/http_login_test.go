package agent

import (
	"errors"
	"fmt"
	"testing"

	"varve/admin"
	"varve/auth/sasl"
	"varve/broker"
)

// HTTP tells a wait that was given up from a wrong password.
func TestWebFailures(t *testing.T) {
	if err := webFailure(fmt.Errorf("wrapped: %w", sasl.ErrBusy)); !errors.Is(err, admin.ErrBusy) {
		t.Error(err)
	}
	for _, err := range []error{nil, broker.ErrPassword, broker.ErrToken} {
		if got := webFailure(err); !errors.Is(got, err) || errors.Is(got, admin.ErrBusy) {
			t.Error(got)
		}
	}
}

// Tokens are taken on HTTP where users are wanted, and the settings say which are good.
func TestTokensOnHTTPNeedOAuth(t *testing.T) {
	for _, c := range []struct {
		http, auth, authorizer, keys string
		want                         bool
	}{
		{":1", "basic", AuthorizerNone, "keys.json", true}, {":1", "", AuthorizerACL, "keys.json", true},
		{":1", "none", AuthorizerACL, "keys.json", false}, {":1", "", AuthorizerNone, "keys.json", false}, {":1", "basic", AuthorizerACL, "", false}, {"", "basic", AuthorizerACL, "keys.json", false},
	} {
		cfg := DefaultConfig()
		cfg.HTTP, cfg.HTTPAuth, cfg.Security.Authorizer, cfg.Security.OAuth.JWKSFile = c.http, c.auth, c.authorizer, c.keys
		if got := cfg.httpTakesTokens(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
