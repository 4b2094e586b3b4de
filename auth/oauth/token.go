// Package oauth checks OAuth 2's bearer tokens, which are JWTs, against the keys of their issuer.
//
// It promises that a token counts only with a signature by a key of the JWKS, by an algorithm
// that fits the key and isn't symmetric; that it has an end; that the work for a token is
// bounded; and that no error holds a token or a part of it. While the JWKS can't be read the last keys hold.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Token is what a good token says.
type Token struct {
	Principal string // without User:
	Expires   time.Time
}

// maxToken bounds a token, in bytes.
const maxToken = 16 << 10

// Validator checks tokens. Many may use it at a time.
type Validator struct {
	cfg  Config
	now  func() time.Time
	keys *keys
}

var (
	errMalformed = errors.New("it is no signed JWT")
	errSignature = errors.New("the signature is not by the key that the token names")
)

// Verify checks a token. It may wait for a new key, until ctx ends. An error that isn't ctx's
// says what is wrong with the token. If its signature is right, it comes with the principal that
// the token names.
func (v *Validator) Verify(ctx context.Context, token string) (Token, error) {
	if len(token) > maxToken {
		return Token{}, fmt.Errorf("it has %d bytes, more than %d", len(token), maxToken)
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return Token{}, parseError(err)
	}
	payload, err := v.payload(ctx, signed)
	if err != nil {
		return Token{}, err
	}
	var all claims
	if err := json.Unmarshal(payload, &all); err != nil || all == nil {
		return Token{}, errors.New("its claims are no JSON object")
	}
	return v.accept(all)
}

// parseError returns an error without the token, which the library's may quote.
func parseError(err error) error {
	var algorithm *jose.ErrUnexpectedSignatureAlgorithm
	if !errors.As(err, &algorithm) {
		return errMalformed
	}
	name := "its algorithm"
	if got := string(algorithm.Got); plainName.MatchString(got) {
		name = "algorithm " + got
	}
	return fmt.Errorf("%s is not accepted: must be of %v", name, algorithms)
}

// plainName matches what may be a name of an algorithm or a key, and not half a token.
var plainName = regexp.MustCompile(`^[\w.:+/=-]{1,64}$`)

// payload returns what a key has signed.
func (v *Validator) payload(ctx context.Context, signed *jose.JSONWebSignature) ([]byte, error) {
	header := signed.Signatures[0].Header
	algorithm := jose.SignatureAlgorithm(header.Algorithm)
	for again := false; ; again = true {
		set, next := v.keys.current()
		found := set.candidates(header.KeyID, algorithm)
		for _, key := range found {
			if payload, err := signed.Verify(key.Key); err == nil {
				return payload, nil
			}
		}
		switch {
		case len(found) > 0 && header.KeyID != "":
			return nil, errSignature
		case again:
			return nil, v.unknown(set, header.KeyID)
		}
		if err := v.keys.await(ctx, next); err != nil {
			return nil, err
		}
	}
}

// unknown returns why there is no key for a token.
func (v *Validator) unknown(set *keySet, kid string) error {
	switch {
	case set == nil:
		return fmt.Errorf("no keys have been read yet: %w", v.keys.failure())
	case kid == "":
		return fmt.Errorf("it names no key (kid), and none of the first %d of the JWKS that fit its algorithm has signed it", maxTry)
	case plainName.MatchString(kid):
		return fmt.Errorf("the JWKS has no key %s for its algorithm", kid)
	}
	return errors.New("the JWKS has no such key for its algorithm")
}

// claims are a token's, as JSON decodes them.
type claims map[string]any

// accept checks the claims of a token whose signature is right.
func (v *Validator) accept(all claims) (Token, error) {
	name, ok := all[v.cfg.PrincipalClaim].(string)
	if !ok || name == "" || strings.TrimSpace(name) != name {
		return Token{}, fmt.Errorf("its claim %s is no name: it must be text, without spaces around it", v.cfg.PrincipalClaim)
	}
	t := Token{Principal: name}
	for _, check := range []func(claims, *Token) error{v.checkTimes, v.checkIssuer, v.checkRequired} {
		if err := check(all, &t); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (v *Validator) checkTimes(all claims, t *Token) error {
	now, skew := v.now(), v.cfg.ClockSkew
	expires, ok, err := all.time("exp")
	switch {
	case err != nil:
		return err
	case !ok:
		return errors.New("it has no end (claim exp)")
	case !now.Before(expires.Add(skew)):
		return fmt.Errorf("it has expired %v ago", now.Sub(expires).Truncate(time.Second))
	}
	t.Expires = expires
	if soon := now.Add(shortest); expires.Before(soon) { // let in because clocks may differ: it is good for a moment
		t.Expires = soon
		if end := expires.Add(skew); end.Before(soon) {
			t.Expires = end
		}
	}
	for _, name := range []string{"nbf", "iat"} {
		switch from, ok, err := all.time(name); {
		case err != nil:
			return err
		case ok && from.After(now.Add(skew)):
			return fmt.Errorf("it is not good before %v from now (claim %s)", from.Sub(now).Truncate(time.Second), name)
		}
	}
	return nil
}

// shortest is how long a token is good for that is let in at its end, if clock_skew lets it.
const shortest = 2 * time.Second

// maxTime bounds a time, in seconds since 1970: some 4000 years.
const maxTime = 1 << 37

// time returns a claim that is a time, in seconds since 1970.
func (c claims) time(name string) (at time.Time, ok bool, err error) {
	value, ok := c[name]
	if !ok {
		return time.Time{}, false, nil
	}
	seconds, ok := value.(float64)
	if !ok || seconds < 0 || seconds > maxTime {
		return time.Time{}, false, fmt.Errorf("its claim %s is no time", name)
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), true, nil
}

func (v *Validator) checkIssuer(all claims, _ *Token) error {
	if iss, ok := all["iss"].(string); !ok || iss != v.cfg.Issuer {
		return fmt.Errorf("its issuer (claim iss) is not %q", v.cfg.Issuer)
	}
	if v.cfg.Audience != "" && !contains(all["aud"], v.cfg.Audience) {
		return fmt.Errorf("its audience (claim aud) does not have %q", v.cfg.Audience)
	}
	return nil
}

func (v *Validator) checkRequired(all claims, _ *Token) error {
	for _, r := range v.cfg.RequiredClaims {
		name, want, hasValue := strings.Cut(r, "=")
		have, ok := all[name]
		if text, isText := have.(string); isText && name == v.cfg.ScopeClaim {
			ok = !hasValue || slices.Contains(strings.Fields(text), want)
		} else if hasValue {
			ok = contains(have, want)
		}
		if !ok {
			return fmt.Errorf("its claims do not have %s", r)
		}
	}
	return nil
}

// contains reports whether a claim is a value, or a list that has it.
func contains(claim any, want string) bool {
	list, ok := claim.([]any)
	if !ok {
		list = []any{claim}
	}
	return slices.ContainsFunc(list, func(v any) bool {
		switch v := v.(type) {
		case string:
			return v == want
		case bool, float64:
			return fmt.Sprint(v) == want
		}
		return false
	})
}
