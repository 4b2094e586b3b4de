package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func tokenCommand() *cobra.Command {
	return parent("token", "Create, list, renew and expire delegation tokens, by which clients log in as their owners",
		tokenCreateCommand(), tokenListCommand(), tokenRenewCommand(), tokenExpireCommand())
}

// tokenRow is a delegation token. Times are RFC 3339's in JSON.
type tokenRow struct {
	ID        string    `json:"id"`
	HMAC      string    `json:"hmac,omitempty"` // base64
	Owner     string    `json:"owner"`
	Requester string    `json:"requester"`
	Renewers  []string  `json:"renewers"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
	Max       time.Time `json:"max"`
}

func rowOfToken(t kadm.DelegationToken, hmac bool) tokenRow {
	r := tokenRow{ID: t.TokenID, Owner: principalText(t.Owner), Requester: principalText(t.TokenRequesterPrincipal), Renewers: []string{}, Issued: t.IssueTimestamp, Expires: t.ExpiryTimestamp, Max: t.MaxTimestamp}
	if hmac {
		r.HMAC = base64.StdEncoding.EncodeToString(t.HMAC)
	}
	for _, p := range t.Renewers {
		r.Renewers = append(r.Renewers, principalText(p))
	}
	return r
}

func principalText(p kadm.Principal) string { return p.Type + ":" + p.Name }

// principals returns those that flags or arguments name.
func principals(list []string) (out []kadm.Principal, err error) {
	names, err := principalsNamed(list)
	for _, n := range names {
		kind, name, _ := strings.Cut(n, ":")
		out = append(out, kadm.Principal{Type: kind, Name: name})
	}
	return out, err
}

// sayToken says an error about tokens.
func sayToken(what string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, kerr.DelegationTokenAuthDisabled):
		advice = "the agents have no secret for delegation tokens (security.delegation_tokens.secret_file)"
	case errors.Is(err, kerr.DelegationTokenRequestNotAllowed):
		advice = "log in with a password or a client's certificate: this is refused to connections without, and to those that logged in by a delegation token"
	case errors.Is(err, kerr.DelegationTokenAuthorizationFailed):
		advice = "a token for another owner needs the right CREATE_TOKENS on that user"
	case errors.Is(err, kerr.InvalidPrincipalType):
		advice = "the owner must be User:name, and so must the renewers"
	case errors.Is(err, kerr.DelegationTokenOwnerMismatch):
		advice = "only the token's owner and its renewers may"
	case errors.Is(err, kerr.DelegationTokenExpired):
		advice = "it has expired; 'varve token create' makes another one"
	case errors.Is(err, kerr.PolicyViolation):
		advice = "there are too many tokens; 'varve token list' shows them"
	}
	return sayKafka(what, err, advice)
}

// findToken returns the token of an id, with its HMAC, by which the brokers know it.
func findToken(ctx context.Context, adm *adminClient, what, id string) (kadm.DelegationToken, error) {
	all, err := adm.DescribeDelegationTokens(ctx)
	if err != nil {
		return kadm.DelegationToken{}, sayToken(what, err)
	}
	for _, t := range all {
		if t.TokenID == id {
			return t, nil
		}
	}
	return kadm.DelegationToken{}, notFoundError{what + ": there is no such token, or it may not be seen; 'varve token list' shows those that may"}
}

// tokenIDs completes ids of tokens in a shell.
func (k *kafkaFlags) tokenIDs(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return k.complete(c, func(ctx context.Context, adm *adminClient) (ids []string, err error) {
		all, err := adm.DescribeDelegationTokens(ctx)
		for _, t := range all {
			ids = append(ids, t.TokenID)
		}
		return ids, err
	}, prefix)
}

// sayTime writes a time for people.
func sayTime(t time.Time) string { return t.Local().Format(time.RFC3339) }

// printToken shows how a token is used.
func printToken(t *table, r *tokenRow, hmacFile string) {
	t.row("token", r.ID)
	if r.HMAC != "" {
		t.row("hmac", r.HMAC)
	}
	t.row("owner", r.Owner)
	expires := sayTime(r.Expires)
	if r.Expires.Before(r.Max) {
		expires += ", unless it is renewed"
	}
	t.row("expires", expires)
	t.row("at most until", sayTime(r.Max))
	t.gap()
	if hmacFile != "" {
		t.row(fmt.Sprintf("Commands log in with --user %s --password-file %s --token.", r.ID, hmacFile))
		return
	}
	t.row("Java's clients log in with:")
	t.row("  sasl.mechanism=SCRAM-SHA-512")
	t.row(fmt.Sprintf(`  sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s" tokenauth="true";`, r.ID, r.HMAC))
}
