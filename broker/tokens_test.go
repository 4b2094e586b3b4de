package broker

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"varve/auth/acl"
	"varve/auth/sasl"
	"varve/auth/token"
)

// byToken logs in by a delegation token, with franz-go's client. It returns the last answer.
func (c *client) byToken(mechanism, id string, hmac []byte) (last *kmsg.SASLAuthenticateResponse) {
	c.Helper()
	auth := scram.Auth{User: id, Pass: token.Password(hmac), IsToken: true}
	m := auth.AsSha512Mechanism()
	if mechanism == sasl.ScramSHA256 {
		m = auth.AsSha256Mechanism()
	}
	if resp := c.handshake(mechanism); resp == nil || resp.ErrorCode != 0 {
		return nil
	}
	session, message, err := m.Authenticate(context.Background(), "")
	if err != nil {
		c.Fatal(err)
	}
	for done := false; !done; {
		if last = c.token(message); last == nil || last.ErrorCode != 0 {
			return last
		}
		if done, message, err = session.Challenge(last.SASLAuthBytes); err != nil {
			c.Error(err)
			return last
		}
	}
	return last
}

func (c *client) createToken(life int64, renewers ...string) *kmsg.CreateDelegationTokenResponse {
	c.Helper()
	req := kmsg.NewPtrCreateDelegationTokenRequest()
	req.MaxLifetimeMillis = life
	for _, r := range renewers {
		req.Renewers = append(req.Renewers, kmsg.CreateDelegationTokenRequestRenewer{PrincipalType: "User", PrincipalName: r})
	}
	return c.ask(req, 3).(*kmsg.CreateDelegationTokenResponse)
}

func (c *client) renewToken(hmac []byte, period int64) (code int16, expires int64) {
	c.Helper()
	resp := c.ask(&kmsg.RenewDelegationTokenRequest{HMAC: hmac, RenewTimeMillis: period}, 2).(*kmsg.RenewDelegationTokenResponse)
	return resp.ErrorCode, resp.ExpiryTimestamp
}

func (c *client) expireToken(hmac []byte, period int64) (code int16, expires int64) {
	c.Helper()
	resp := c.ask(&kmsg.ExpireDelegationTokenRequest{HMAC: hmac, ExpiryPeriodMillis: period}, 2).(*kmsg.ExpireDelegationTokenResponse)
	return resp.ErrorCode, resp.ExpiryTimestamp
}

// describeTokens returns the code, and the ids that are shown.
func (c *client) describeTokens(owners []kmsg.DescribeDelegationTokenRequestOwner) (code int16, ids []string) {
	c.Helper()
	resp := c.ask(&kmsg.DescribeDelegationTokenRequest{Owners: owners}, 3).(*kmsg.DescribeDelegationTokenResponse)
	for _, d := range resp.TokenDetails {
		ids = append(ids, d.TokenID)
	}
	return resp.ErrorCode, ids
}

// as opens a connection of a user.
func (x *bouncer) as(user string) *client {
	x.Helper()
	c := x.serve(saslOnly)
	if resp := c.plain(user, "secret"); resp == nil || resp.ErrorCode != 0 {
		x.Fatalf("%s: %+v", user, resp)
	}
	return c
}

// A token logs in its owner by both mechanisms of SCRAM, and not by PLAIN. The session ends when
// the token expires, which the client is told, although the listener has no max_reauth. A client
// that comes back on the connection with the renewed token stays.
func TestTokensOfDelegation(t *testing.T) {
	withBouncer(t, func(c *Config) { c.IdleTimeout = 1000 * time.Hour }, func(x *bouncer) {
		alice := x.as("alice")
		made := alice.createToken(-1)
		if day := int64(24 * 3600 * 1000); made.ErrorCode != 0 || made.PrincipalName != "alice" || made.TokenRequesterPrincipalName != "alice" || len(made.HMAC) != 64 ||
			made.ExpiryTimestamp-made.IssueTimestamp != day || made.MaxTimestamp-made.IssueTimestamp != 7*day {
			t.Fatalf("%+v", made)
		}
		var open []*client
		for _, m := range []string{sasl.ScramSHA256, sasl.ScramSHA512} {
			c := x.serve(saslOnly)
			if resp := c.byToken(m, made.TokenID, made.HMAC); resp == nil || resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 24*3600*1000 || !c.served() {
				t.Errorf("%s: %+v", m, resp)
			}
			open = append(open, c)
		}
		if resp := x.serve(saslOnly).plain(made.TokenID, token.Password(made.HMAC)); resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code {
			t.Errorf("by PLAIN: %+v", resp)
		}
		time.Sleep(23 * time.Hour)
		if code, expires := alice.renewToken(made.HMAC, -1); code != 0 || expires != time.Now().UnixMilli()+24*3600*1000 {
			t.Errorf("renewed: %d, %d", code, expires)
		}
		if resp := open[1].byToken(sasl.ScramSHA512, made.TokenID, made.HMAC); resp == nil || resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 24*3600*1000 {
			t.Errorf("again: %+v", resp)
		}
		time.Sleep(time.Hour)
		if open[0].served() || !open[1].served() {
			t.Error("the one that didn't come again is served, or the other isn't")
		}
		time.Sleep(23 * time.Hour)
		if open[1].served() {
			t.Error("served with a token that has expired")
		}
		resp := x.serve(saslOnly).byToken(sasl.ScramSHA512, made.TokenID, made.HMAC)
		if resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || *resp.ErrorMessage != tokenExpired {
			t.Errorf("a login with a token that has expired: %+v", resp)
		}
		resp = x.serve(saslOnly).byToken(sasl.ScramSHA512, made.TokenID, []byte("another"))
		if resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || *resp.ErrorMessage == tokenExpired {
			t.Errorf("who doesn't have the token is told that it has expired: %+v", resp)
		}
		synctest.Wait()
		log := x.log.String()
		for _, want := range []string{"delegation token created", "delegation token renewed", "client.token=" + made.TokenID, "the delegation token has expired"} {
			if !strings.Contains(log, want) {
				t.Errorf("%q is not in the log:\n%s", want, log)
			}
		}
		if strings.Contains(log, token.Password(made.HMAC)[:20]) {
			t.Error("the log has the HMAC")
		}
	})
}

// Tokens are not for connections that could be anybody's, or that came by a token.
func TestWhoMayAskAboutTokens(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		made := x.as("alice").createToken(-1)
		byToken := x.serve(saslOnly)
		byToken.byToken(sasl.ScramSHA512, made.TokenID, made.HMAC)
		for name, c := range map[string]*client{"by token": byToken, "PLAINTEXT": x.serve(new(Listener)), "TLS without a certificate": x.serve(&Listener{TLS: selfSigned(t)}).over(anyServer)} {
			created := c.createToken(-1)
			renewed, _ := c.renewToken(made.HMAC, -1)
			expired, _ := c.expireToken(made.HMAC, -1)
			described, _ := c.describeTokens(nil)
			for _, code := range []int16{created.ErrorCode, renewed, expired, described} {
				if code != kerr.DelegationTokenRequestNotAllowed.Code {
					t.Errorf("%s: %d", name, code)
				}
			}
			if len(created.HMAC) != 0 || created.TokenID != "" || created.ExpiryTimestamp != -1 {
				t.Errorf("%s: %+v", name, created)
			}
		}
		if code, _ := x.as("alice").renewToken(made.HMAC, -1); code != 0 {
			t.Errorf("it is gone: %d", code)
		}
	})
}

// Without a secret there are no tokens; of one that another secret made nothing is known.
func TestTokensNeedTheirSecret(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		made := x.as("alice").createToken(-1)
		use := func(i *token.Issuer) {
			deps := &Deps{View: x.view, Editor: x.editor, Secret: []byte("k"), Log: x.Broker.log, Audit: x.Broker.log, Tokens: i}
			x.Broker.apis, x.Broker.sasl = newTable(&x.Broker.cfg, deps, x.metrics, nil), newSASL(deps)
		}
		for _, s := range []struct {
			issuer *token.Issuer
			create int16
			others int16
		}{{nil, kerr.DelegationTokenAuthDisabled.Code, kerr.DelegationTokenAuthDisabled.Code}, {token.NewIssuer([]byte("fedcba9876543210"), token.DefaultConfig()), 0, kerr.DelegationTokenNotFound.Code}} {
			use(s.issuer)
			c := x.as("alice")
			created := c.createToken(-1)
			renewed, _ := c.renewToken(made.HMAC, -1)
			expired, _ := c.expireToken(made.HMAC, -1)
			if created.ErrorCode != s.create || renewed != s.others || expired != s.others {
				t.Errorf("%d, %d, %d", created.ErrorCode, renewed, expired)
			}
			code, ids := c.describeTokens(nil)
			if (code == 0) != (s.issuer != nil) || len(ids) > 1 || len(ids) == 1 && ids[0] != created.TokenID {
				t.Errorf("described: %d, %q", code, ids)
			}
			if resp := x.serve(saslOnly).byToken(sasl.ScramSHA512, made.TokenID, made.HMAC); resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code {
				t.Errorf("a login: %+v", resp)
			}
		}
	})
}

// Owners and renewers may renew a token and have it expire; others may not, although they have it.
// Errors come in Kafka's order.
func TestRenewAndExpireTokens(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		x.set("carol", "secret")
		alice, bob, carol := x.as("alice"), x.as("bob"), x.as("carol")
		made := alice.createToken(3600_000, "bob")
		if made.ExpiryTimestamp != made.MaxTimestamp || made.MaxTimestamp-made.IssueTimestamp != 3600_000 {
			t.Fatalf("%+v", made)
		}
		for _, hmac := range [][]byte{nil, {}, []byte("x"), make([]byte, 64), made.HMAC[:63], bytes.Repeat([]byte{1}, 1<<20)} {
			renewed, _ := alice.renewToken(hmac, -1)
			expired, _ := alice.expireToken(hmac, -1)
			if want := kerr.DelegationTokenNotFound.Code; renewed != want || expired != want {
				t.Errorf("an HMAC of %d bytes: %d, %d", len(hmac), renewed, expired)
			}
		}
		renewed, at := carol.renewToken(made.HMAC, -1)
		expired, when := carol.expireToken(made.HMAC, -1)
		if want := kerr.DelegationTokenOwnerMismatch.Code; renewed != want || expired != want || at != 0 || when != 0 {
			t.Errorf("a stranger: %d, %d, %d, %d", renewed, at, expired, when)
		}
		if code, expires := bob.renewToken(made.HMAC, 60_000); code != 0 || expires != made.IssueTimestamp+60_000 {
			t.Errorf("renewed by a renewer: %d, %d", code, expires-made.IssueTimestamp)
		}
		for period, want := range map[int64]int64{math.MaxInt64: made.MaxTimestamp, 1000: made.IssueTimestamp + 1000} {
			if code, expires := bob.expireToken(made.HMAC, period); code != 0 || expires != want {
				t.Errorf("expires in %d: %d, %d", period, code, expires)
			}
		}
		if code, _ := alice.expireToken(made.HMAC, 1000); code != 0 {
			t.Error(code)
		}
		time.Sleep(1001 * time.Millisecond)
		renewed, _ = carol.renewToken(made.HMAC, -1)
		later, _ := alice.expireToken(made.HMAC, 5000)
		stranger, _ := carol.expireToken(made.HMAC, 5000)
		if want := kerr.DelegationTokenExpired.Code; renewed != want || later != want || stranger != kerr.DelegationTokenOwnerMismatch.Code {
			t.Errorf("expired: %d, %d, %d", renewed, later, stranger)
		}
		if code, ids := alice.describeTokens(nil); code != 0 || len(ids) != 1 {
			t.Errorf("expired, and not deleted yet: %d, %q", code, ids)
		}
		if code, expires := bob.expireToken(made.HMAC, math.MinInt64); code != 0 || expires != time.Now().UnixMilli() {
			t.Errorf("deleted: %d, %d", code, expires)
		}
		if code, _ := alice.renewToken(made.HMAC, -1); code != kerr.DelegationTokenNotFound.Code {
			t.Errorf("renewed after it was deleted: %d", code)
		}
		if resp := x.serve(saslOnly).byToken(sasl.ScramSHA512, made.TokenID, made.HMAC); resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || *resp.ErrorMessage == tokenExpired {
			t.Errorf("a login after it was deleted: %+v", resp)
		}
	})
}

// What can't be a token is refused, and leaves none.
func TestTokensThatMakeNoSense(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		c := x.as("alice")
		renewer := func(kind, name string, n int) (out []kmsg.CreateDelegationTokenRequestRenewer) {
			for range n {
				out = append(out, kmsg.CreateDelegationTokenRequestRenewer{PrincipalType: kind, PrincipalName: name})
			}
			return out
		}
		text := kmsg.StringPtr
		for name, s := range map[string]struct {
			req  kmsg.CreateDelegationTokenRequest
			want *kerr.Error
		}{
			"a renewer that is no user":  {kmsg.CreateDelegationTokenRequest{Renewers: append(renewer("User", "a", 1), renewer("Group", "a", 1)...)}, kerr.InvalidPrincipalType},
			"a renewer without a type":   {kmsg.CreateDelegationTokenRequest{Renewers: renewer("", "a", 1)}, kerr.InvalidPrincipalType},
			"a renewer without a name":   {kmsg.CreateDelegationTokenRequest{Renewers: renewer("User", "", 1)}, kerr.InvalidRequest},
			"a long name":                {kmsg.CreateDelegationTokenRequest{Renewers: renewer("User", strings.Repeat("n", 30_000), 1)}, kerr.InvalidRequest},
			"10,000 renewers":            {kmsg.CreateDelegationTokenRequest{Renewers: renewer("User", "a", 10_000)}, kerr.InvalidRequest},
			"long names":                 {kmsg.CreateDelegationTokenRequest{Renewers: renewer("User", strings.Repeat("n", 1024), 3)}, kerr.InvalidRequest},
			"10,000, and one of a group": {kmsg.CreateDelegationTokenRequest{Renewers: append(renewer("User", "a", 10_000), renewer("Group", "a", 1)...)}, kerr.InvalidPrincipalType},
			"an owner that is no user":   {kmsg.CreateDelegationTokenRequest{OwnerPrincipalType: text("Group"), OwnerPrincipalName: text("a")}, kerr.InvalidPrincipalType},
			"an owner without a type":    {kmsg.CreateDelegationTokenRequest{OwnerPrincipalName: text("a")}, kerr.InvalidPrincipalType},
			"an owner with a long name":  {kmsg.CreateDelegationTokenRequest{OwnerPrincipalType: text("User"), OwnerPrincipalName: text(strings.Repeat("n", 2000))}, kerr.InvalidRequest},
		} {
			resp := c.ask(&s.req, 3).(*kmsg.CreateDelegationTokenResponse)
			if resp.ErrorCode != s.want.Code || len(resp.HMAC) != 0 {
				t.Errorf("%s: %+v", name, resp)
			}
		}
		if _, ids := c.describeTokens(nil); len(ids) != 0 {
			t.Errorf("left: %q", ids)
		}
		for _, life := range []int64{math.MaxInt64, math.MinInt64, 0, 1} {
			if resp := c.createToken(life); resp.ErrorCode != 0 || resp.MaxTimestamp < resp.IssueTimestamp || resp.ExpiryTimestamp > resp.MaxTimestamp || resp.MaxTimestamp-resp.IssueTimestamp > 7*24*3600_000 {
				t.Errorf("a life of %d: %+v", life, resp)
			}
		}
		odd := c.createToken(-1, "CN=x,O=a:b/ü", "with space")
		got := c.ask(kmsg.NewPtrDescribeDelegationTokenRequest(), 3).(*kmsg.DescribeDelegationTokenResponse).TokenDetails
		found := false
		for _, d := range got {
			if d.TokenID == odd.TokenID {
				found = bytes.Equal(d.HMAC, odd.HMAC) && len(d.Renewers) == 2 && d.Renewers[0].PrincipalName == "CN=x,O=a:b/ü" && d.Renewers[1].PrincipalName == "with space"
			}
		}
		if !found {
			t.Errorf("described: %+v", got)
		}
	})
}

// Who may see tokens, and make them for others.
func TestRightsOfTokens(t *testing.T) {
	withSecured(t, func(s *secured) {
		create := func(c *connected, owner string, renewers ...string) *kmsg.CreateDelegationTokenResponse {
			t.Helper()
			req := &kmsg.CreateDelegationTokenRequest{OwnerPrincipalType: kmsg.StringPtr("User"), OwnerPrincipalName: &owner, MaxLifetimeMillis: -1}
			for _, r := range renewers {
				req.Renewers = append(req.Renewers, kmsg.CreateDelegationTokenRequestRenewer{PrincipalType: "User", PrincipalName: r})
			}
			return c.ask(3, req).(*kmsg.CreateDelegationTokenResponse)
		}
		shown := func(principal string, owners ...string) (names []string) {
			t.Helper()
			req := kmsg.NewPtrDescribeDelegationTokenRequest()
			for _, o := range owners {
				req.Owners = append(req.Owners, kmsg.DescribeDelegationTokenRequestOwner{PrincipalType: "User", PrincipalName: o})
			}
			resp := s.connect(principal).ask(3, req).(*kmsg.DescribeDelegationTokenResponse)
			if resp.ErrorCode != 0 {
				t.Errorf("%s: %d", principal, resp.ErrorCode)
			}
			for _, d := range resp.TokenDetails {
				names = append(names, d.PrincipalName)
			}
			return names
		}
		a, b := create(s.connect("User:a"), "a", "r"), create(s.connect("User:admin"), "b")
		if a.ErrorCode != 0 || b.ErrorCode != 0 || b.TokenRequesterPrincipalName != "admin" {
			t.Fatalf("%+v, %+v", a, b)
		}
		proxy := s.connect("User:proxy")
		if resp := create(proxy, "a"); resp.ErrorCode != kerr.DelegationTokenAuthorizationFailed.Code {
			t.Errorf("for another, without a right: %+v", resp)
		}
		s.allow("User:proxy", acl.CreateTokens, acl.User, "User:a")
		if resp := create(proxy, "a"); resp.ErrorCode != 0 || resp.PrincipalName != "a" {
			t.Errorf("for another: %+v", resp)
		}
		if resp := create(proxy, "b"); resp.ErrorCode != kerr.DelegationTokenAuthorizationFailed.Code {
			t.Errorf("for yet another: %+v", resp)
		}
		s.allow("User:one", acl.Describe, acl.DelegationToken, b.TokenID)
		s.allow("User:all", acl.DescribeTokens, acl.User, "User:a", "User:b")
		for _, x := range []struct {
			who    string
			owners []string
			want   string
		}{
			{"User:a", nil, "a a"}, {"User:r", nil, "a"}, {"User:proxy", nil, "a"}, {"User:admin", []string{"proxy"}, "a"}, {"User:nobody", nil, ""}, {"User:one", nil, "b"}, {"User:all", nil, "a b a"}, {"User:admin", nil, "a b a"},
			{"User:admin", []string{"b"}, "b"}, {"User:admin", []string{"r"}, "a"}, {"User:admin", []string{"a", "b"}, "a b a"}, {"User:one", []string{"a"}, ""},
		} {
			if got := strings.Join(shown(x.who, x.owners...), " "); len(got) != len(x.want) {
				t.Errorf("%s, %q: %q, want %q", x.who, x.owners, got, x.want)
			}
		}
		empty := kmsg.NewPtrDescribeDelegationTokenRequest()
		empty.Owners = []kmsg.DescribeDelegationTokenRequestOwner{}
		if resp := s.connect("User:admin").ask(3, empty).(*kmsg.DescribeDelegationTokenResponse); resp.ErrorCode != 0 || len(resp.TokenDetails) != 0 {
			t.Errorf("of no owners: %+v", resp)
		}
	})
}

// A request asks for a bounded number of owners.
func TestOwnersOfTokensAreBounded(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		alice := x.as("alice")
		made := alice.createToken(-1, "bob")
		owners := make([]kmsg.DescribeDelegationTokenRequestOwner, maxOwners)
		for i := range owners {
			owners[i] = kmsg.DescribeDelegationTokenRequestOwner{PrincipalType: "User", PrincipalName: fmt.Sprint("user", i)}
		}
		owners[maxOwners-1].PrincipalName = "bob"
		if code, ids := alice.describeTokens(owners); code != 0 || len(ids) != 1 || ids[0] != made.TokenID {
			t.Errorf("the most: %d, %q", code, ids)
		}
		if code, ids := alice.describeTokens(append(owners, owners[0])); code != kerr.InvalidRequest.Code || len(ids) != 0 {
			t.Errorf("one more: %d, %q", code, ids)
		}
	})
}

// A look at tokens ends with its connection.
func TestLookAtTokensEnds(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		x.as("alice").createToken(-1)
		deps := &Deps{View: x.view, Tokens: issuer}
		ctx, cancel := context.WithCancel(x.Context())
		cancel()
		c := &caller{principal: "User:alice", proven: true}
		resp := newTokenAPIs(deps, tokenAnswerBytes).describeDelegationToken(ctx, c, kmsg.NewPtrDescribeDelegationTokenRequest())
		if r, ok := resp.(*kmsg.DescribeDelegationTokenResponse); !ok || r.ErrorCode != kerr.RequestTimedOut.Code {
			t.Errorf("%+v", resp)
		}
	})
}

// Answers about tokens share bounded memory until their clients have taken them.
func TestAnswersAboutTokensAreBounded(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		alice, slow := x.as("alice"), x.as("alice")
		made := alice.createToken(-1, "bob")
		api := newTokenAPIs(&Deps{View: x.view, Tokens: issuer}, 1000) // one answer takes more
		x.Broker.apis[int16(kmsg.DescribeDelegationToken)].serve = api.describeDelegationToken
		req := kmsg.NewPtrDescribeDelegationTokenRequest()
		req.SetVersion(3)
		if _, err := slow.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if used := api.answers.used.Load(); used != 1000 {
			t.Fatalf("an answer that nobody takes holds %d bytes", used)
		}
		time.AfterFunc(time.Second, func() { slow.frame() })
		began := time.Now()
		if code, ids := alice.describeTokens(nil); code != 0 || len(ids) != 1 || ids[0] != made.TokenID || time.Since(began) < time.Second {
			t.Errorf("%d, %q after %v", code, ids, time.Since(began))
		}
		synctest.Wait()
		if used := api.answers.used.Load(); used != 0 {
			t.Errorf("%d bytes are left", used)
		}
	})
}

// What everybody may do by default isn't to have tokens of others: a super user's would make
// everybody one. An ACL allows it.
func TestDefaultGivesNoTokensOfOthers(t *testing.T) {
	withSecurity(t, Security{ACLs: true, SuperUsers: []string{"User:admin"}, AllowEveryone: true}, func(s *secured) {
		create := func(who, owner string) int16 {
			req := &kmsg.CreateDelegationTokenRequest{OwnerPrincipalType: kmsg.StringPtr("User"), OwnerPrincipalName: &owner, MaxLifetimeMillis: -1}
			return s.connect(who).ask(3, req).(*kmsg.CreateDelegationTokenResponse).ErrorCode
		}
		shown := func(who string) int {
			return len(s.connect(who).ask(3, kmsg.NewPtrDescribeDelegationTokenRequest()).(*kmsg.DescribeDelegationTokenResponse).TokenDetails)
		}
		if code := create("User:admin", "admin"); code != 0 {
			t.Fatal(code)
		}
		if code, n := create("User:mallory", "admin"), shown("User:mallory"); code != kerr.DelegationTokenAuthorizationFailed.Code || n != 0 {
			t.Errorf("without an ACL: %d, %d are shown", code, n)
		}
		if code, n := create("User:mallory", "mallory"), shown("User:mallory"); code != 0 || n != 1 {
			t.Errorf("of its own: %d, %d are shown", code, n)
		}
		s.allow("User:proxy", acl.CreateTokens, acl.User, "User:admin")
		s.allow("User:proxy", acl.DescribeTokens, acl.User, "User:admin")
		if code, n := create("User:proxy", "admin"), shown("User:proxy"); code != 0 || n != 2 {
			t.Errorf("with ACLs: %d, %d are shown", code, n)
		}
	})
}
