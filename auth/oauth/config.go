package oauth

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Config is which tokens are good.
type Config struct {
	JWKSURL        string        `yaml:"jwks_url" doc:"URL of the JWKS with the keys that sign tokens. It must be https, unless its host is this one"`
	JWKSFile       string        `yaml:"jwks_file" doc:"file with the JWKS, instead of a URL. It is read again when it changes"`
	CAFile         string        `yaml:"ca_file" doc:"PEM file of the authorities that may vouch for the host of jwks_url; empty: the system's"`
	Issuer         string        `yaml:"issuer" doc:"issuer of tokens, exactly as in their claim iss"`
	Audience       string        `yaml:"audience" doc:"audience that tokens must be for, as in their claim aud. It may be empty if required_claims says which tokens are for this cluster"`
	PrincipalClaim string        `yaml:"principal_claim" doc:"claim that has the name of the user: with sub, a client is User: and the token's subject"`
	ScopeClaim     string        `yaml:"scope_claim" doc:"claim that has the token's scopes, as a list or as text with spaces between them; required_claims can ask for one"`
	RequiredClaims []string      `yaml:"required_claims" doc:"claims that tokens must have: name, or name=value. A claim that is a list must contain the value"`
	ClockSkew      time.Duration `yaml:"clock_skew" doc:"how far the clocks of issuer and agent may differ; at most 10m"`
	Refresh        time.Duration `yaml:"refresh" doc:"how often the keys are read from jwks_url. A token with an unknown key has them read earlier"`
}

// DefaultConfig has everything that has a sensible default.
func DefaultConfig() Config {
	return Config{PrincipalClaim: "sub", ScopeClaim: "scope", ClockSkew: 30 * time.Second, Refresh: 5 * time.Minute}
}

// On reports whether tokens are accepted at all.
func (c *Config) On() bool { return c.JWKSURL != "" || c.JWKSFile != "" }

// Bounds of settings.
const (
	maxClockSkew = 10 * time.Minute
	minRefresh   = 10 * time.Second
)

// Validate returns all that doesn't fit.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !c.On() {
		for _, f := range []struct{ name, value string }{{"issuer", c.Issuer}, {"audience", c.Audience}, {"ca_file", c.CAFile}} {
			if f.value != "" {
				bad("%s is %q, but neither jwks_url nor jwks_file is set: one of them must name the keys that sign tokens", f.name, f.value)
			}
		}
		return errors.Join(errs...)
	}
	if c.JWKSURL != "" && c.JWKSFile != "" {
		bad("jwks_url and jwks_file are both set: give one of them")
	}
	if c.JWKSURL != "" {
		if u, err := url.Parse(c.JWKSURL); err != nil {
			bad("jwks_url is no URL") // which may hold a secret
		} else if err := fetchable(u); err != nil {
			bad("jwks_url: %w", err)
		}
	}
	if c.CAFile != "" && c.JWKSURL == "" {
		bad("ca_file is %q, but there is no jwks_url: it would be without effect", c.CAFile)
	}
	if c.Issuer == "" {
		bad("issuer is empty: it must be the claim iss of tokens")
	}
	if c.Audience == "" && len(c.RequiredClaims) == 0 {
		bad("audience is empty: tokens that the issuer made for other services would be good here. Set it to the claim aud of tokens for this cluster, or name claims in required_claims that only these have")
	}
	if c.PrincipalClaim == "" {
		bad("principal_claim is empty: it must be a claim, such as sub")
	}
	for _, r := range c.RequiredClaims {
		if name, _, _ := strings.Cut(r, "="); name == "" {
			bad("required_claims has %q: must be name or name=value", r)
		}
	}
	if c.ClockSkew < 0 || c.ClockSkew > maxClockSkew {
		bad("clock_skew is %v: must be 0 to %v", c.ClockSkew, maxClockSkew)
	}
	if c.Refresh < minRefresh {
		bad("refresh is %v: must be at least %v", c.Refresh, minRefresh)
	}
	return errors.Join(errs...)
}

// fetchable returns why keys can't be trusted that come from a URL.
func fetchable(u *url.URL) error {
	host := u.Hostname()
	ip := net.ParseIP(host)
	loopback := strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
	switch {
	case u.User != nil:
		return errors.New("a URL with a user or password is refused")
	case host == "":
		return errors.New("the URL has no host")
	case u.Scheme == "https", u.Scheme == "http" && loopback:
		return nil
	}
	return fmt.Errorf("the URL of host %s must begin with https: who can change the keys on their way can be anybody", host)
}
