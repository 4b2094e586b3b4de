package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// byToken logs in by a delegation token.
func byToken(t kadm.DelegationToken) kgo.Opt {
	return kgo.SASL(scram.Auth{User: t.TokenID, Pass: base64.StdEncoding.EncodeToString(t.HMAC), IsToken: true}.AsSha512Mechanism())
}

// A client logs in by a delegation token, also after the agent was killed. When the token has
// expired its open connections end, and no new ones come, until somebody makes another token.
func TestDelegationTokens(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "")
	name, password, _ := strings.Cut(firstUser, ":")
	admin := func() *kadm.Client {
		t.Helper()
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.sasl), mechanisms(name, password)["SCRAM-SHA-256"])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return kadm.NewClient(cl)
	}
	made, err := admin().CreateDelegationToken(t.Context(), kadm.CreateDelegationToken{MaxLifetime: time.Hour, Owner: &kadm.Principal{Type: "User", Name: "job"}, Renewers: []kadm.Principal{{Type: "User", Name: name}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := exchange(t, "tokens", "one", kgo.SeedBrokers(s.sasl), byToken(made)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(s.log.String(), "client.principal=User:job") || strings.Contains(s.log.String(), base64.StdEncoding.EncodeToString(made.HMAC)) {
		t.Error("the log doesn't have the token's owner, or has its HMAC")
	}
	s.kill()
	s.start(t)
	if err := exchange(t, "tokens", "two", kgo.SeedBrokers(s.sasl), byToken(made)); err != nil {
		t.Errorf("after the agent was killed: %v", err)
	}
	expires, err := admin().ExpireDelegationToken(t.Context(), made.HMAC, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.sasl), byToken(made), kgo.RetryTimeout(time.Second), kgo.RequestRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.Ping(t.Context()); err != nil {
		t.Fatalf("before it expires: %v", err)
	}
	poll(t, 20*time.Second, "the token has expired, and with it the connection", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
		if err == nil || !time.Now().After(expires) { // the client gives up a little before
			return errors.New("it is still good")
		}
		return nil
	})
	if err := exchange(t, "tokens", "three", kgo.SeedBrokers(s.sasl), byToken(made)); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("with a token that has expired: %v", err)
	}
	if _, err := admin().RenewDelegationToken(t.Context(), made.HMAC, -time.Millisecond); !errors.Is(err, kerr.DelegationTokenExpired) {
		t.Errorf("renewed: %v", err)
	}
}
