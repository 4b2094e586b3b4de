package broker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
)

func (c *client) alter(build func(*kmsg.AlterUserSCRAMCredentialsRequest)) map[string]string {
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	build(req)
	resp := c.ask(req, 0).(*kmsg.AlterUserSCRAMCredentialsResponse)
	out := map[string]string{}
	for _, r := range resp.Results {
		out[r.User] = answered(r.ErrorCode, r.ErrorMessage)
	}
	return out
}

func answered(code int16, message *string) string {
	text := "-"
	if message != nil {
		text = *message
	}
	if err := kerr.ErrorForCode(code); err != nil {
		return err.(*kerr.Error).Message + ": " + text
	}
	return text
}

func (c *client) describe(users ...string) (out []string) {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	for _, u := range users {
		ru := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
		ru.Name = u
		req.Users = append(req.Users, ru)
	}
	for _, r := range c.ask(req, 0).(*kmsg.DescribeUserSCRAMCredentialsResponse).Results {
		out = append(out, fmt.Sprint(r.User, " ", answered(r.ErrorCode, r.ErrorMessage), " ", r.CredentialInfos))
	}
	return out
}

func upsert(t *testing.T, req *kmsg.AlterUserSCRAMCredentialsRequest, user, password string, mechanism int8, iterations int32) *kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
	t.Helper()
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt = user, mechanism, iterations, []byte("salt")
	name := sasl.ScramSHA256
	if mechanism == 2 {
		name = sasl.ScramSHA512
	}
	var err error
	if u.SaltedPassword, err = sasl.Salted(name, password, u.Salt, int(max(iterations, 1))); err != nil {
		t.Fatal(err)
	}
	req.Upsertions = append(req.Upsertions, u)
	return &req.Upsertions[len(req.Upsertions)-1]
}

func remove(req *kmsg.AlterUserSCRAMCredentialsRequest, user string, mechanism int8) {
	d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
	d.Name, d.Mechanism = user, mechanism
	req.Deletions = append(req.Deletions, d)
}

// Users are changed as by Kafka 4.3.1's ScramControlManager, each with an answer of its own.
func TestUsersAreAltered(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		c := x.serve(new(Listener))
		defer c.Close()
		got := c.alter(func(req *kmsg.AlterUserSCRAMCredentialsRequest) {
			upsert(t, req, "carol", "pass", 2, 8192)
			upsert(t, req, "few", "pass", 1, 4095)
			upsert(t, req, "many", "pass", 1, 16385)
			upsert(t, req, "most", "pass", 1, 16384)
			upsert(t, req, "", "pass", 1, 4096)
			upsert(t, req, "other", "pass", 3, 4096)
			upsert(t, req, "zero", "pass", 0, 4096)
			upsert(t, req, "twice", "pass", 1, 4096)
			upsert(t, req, "twice", "pass", 2, 4096)
			upsert(t, req, "short", "pass", 1, 4096).SaltedPassword = []byte("short")
			upsert(t, req, "saltless", "pass", 1, 4096).Salt = nil
			upsert(t, req, strings.Repeat("n", 1025), "pass", 1, 4096)
			remove(req, "nobody", 1)
			remove(req, "bob", 1)
			remove(req, "alice", 1)
			upsert(t, req, "alice", "pass", 2, 4096)
		})
		want := map[string]string{
			"carol": "-", "most": "-", "bob": "-",
			"few": "UNACCEPTABLE_CREDENTIAL: Too few iterations", "many": "UNACCEPTABLE_CREDENTIAL: Too many iterations",
			"": "UNACCEPTABLE_CREDENTIAL: Username must not be empty", "other": "UNSUPPORTED_SASL_MECHANISM: Unknown SCRAM mechanism", "zero": "UNSUPPORTED_SASL_MECHANISM: Unknown SCRAM mechanism",
			"twice": "DUPLICATE_RESOURCE: A user credential cannot be altered twice in the same request", "alice": "DUPLICATE_RESOURCE: A user credential cannot be altered twice in the same request",
			"short": "UNACCEPTABLE_CREDENTIAL: The salted password is not one of SCRAM-SHA-256", "saltless": "UNACCEPTABLE_CREDENTIAL: A salt must have 1 to 256 bytes",
			strings.Repeat("n", 1025): "UNACCEPTABLE_CREDENTIAL: Username must not be longer than 1024 bytes",
			"nobody":                  "RESOURCE_NOT_FOUND: Attempt to delete a user credential that does not exist",
		}
		for user, text := range want {
			if got[user] != text {
				t.Errorf("%.20q: %q, want %q", user, got[user], text)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d answers of %d", len(got), len(want))
		}
		for _, d := range []struct{ asked, want string }{
			{"", "[alice - [{1 4096 {}} {2 4096 {}}] bob - [{2 4096 {}}] carol - [{2 8192 {}}] most - [{1 16384 {}}]]"},
			{"carol", "[carol - [{2 8192 {}}]]"},
			{"nobody carol", "[carol - [{2 8192 {}}] nobody RESOURCE_NOT_FOUND: Attempt to describe a user credential that does not exist: nobody []]"},
			{"carol carol", "[carol DUPLICATE_RESOURCE: Cannot describe SCRAM credentials for the same user twice in a single request: carol []]"},
		} {
			if got := strings.ReplaceAll(fmt.Sprint(c.describe(strings.Fields(d.asked)...)), "{map[]}", "{}"); got != d.want {
				t.Errorf("%q: %s, want %s", d.asked, got, d.want)
			}
		}
		if log := x.log.String(); strings.Count(log, "credential set") != 2 || strings.Count(log, "credential removed") != 1 || strings.Contains(log, "pass") {
			t.Errorf("log:\n%s", log)
		}
		// A new password is valid at once, and the old one is not.
		c.alter(func(req *kmsg.AlterUserSCRAMCredentialsRequest) { upsert(t, req, "carol", "new", 2, 4096) })
		for password, ok := range map[string]bool{"new": true, "pass": false} {
			l := x.serve(saslOnly)
			if resp := l.plain("carol", password); resp == nil || (resp.ErrorCode == 0) != ok {
				t.Errorf("%s: %+v", password, resp)
			}
			l.Close()
		}
	})
}
