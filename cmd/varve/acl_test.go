package main

import (
	"strings"
	"testing"

	"varve/agent"
)

func withACLs(c *agent.Config) {
	c.Security.Authorizer, c.Security.SuperUsers = agent.AuthorizerACL, []string{"User:ANONYMOUS"}
}

func TestACLs(t *testing.T) {
	startAgent(t, withACLs)
	rows := decode[[]aclRow](t, must(t, "", "acl create --allow-principal alice --allow-principal User:bob --operation read,write --topic orders --group readers --json"))
	if len(rows) != 6 || rows[0] != (aclRow{"ALLOW", "User:alice", "*", "READ", "TOPIC", "LITERAL", "orders"}) {
		t.Errorf("created %+v", rows)
	}
	must(t, "", "acl create --deny-principal User:* --deny-host 10.0.0.7 --operation Write --topic ord --resource-pattern-type prefixed")
	must(t, "", "acl create --allow-principal User:ops --operation AlterConfigs --cluster")
	must(t, "", "acl create --allow-principal User:ops --operation AlterConfigs --cluster") // again
	count := func(line string) int {
		return len(decode[[]aclRow](t, must(t, "", "acl list --json "+line)))
	}
	for line, want := range map[string]int{"": 8, "--principal alice": 3, "--topic orders": 4, "--topic orders --resource-pattern-type match": 5, "--permission deny": 1, "--operation write --group readers": 0,
		"--cluster": 1, "--host 10.0.0.7": 1, "--group other": 0} {
		if got := count(line); got != want {
			t.Errorf("acl list %s: %d, want %d", line, got, want)
		}
	}
	for line, want := range map[string]string{
		"alice read --topic orders":                  "allowed: User:alice may read TOPIC:orders, because an ACL allows it",
		"alice describe --topic orders":              "which implies DESCRIBE",
		"alice write --topic orders --host 10.0.0.7": "denied: User:alice may not write TOPIC:orders from 10.0.0.7, because an ACL denies it",
		"alice delete --topic orders":                "denied: User:alice may not delete TOPIC:orders, because ACLs are for this resource, and none of them allows it",
		"alice read --topic clicks":                  "no ACL is for this resource, and allow_everyone_if_no_acl_found is false",
		"alice create-tokens --user-principal bob":   "no ACL is for this resource, and for users and delegation tokens allow_everyone_if_no_acl_found doesn't count",
		"User:ANONYMOUS delete --topic orders":       "allowed: User:ANONYMOUS may delete TOPIC:orders, because it is a super user",
		"ops describe-configs --cluster":             "allowed",
	} {
		code := exitOK
		if !strings.Contains(want, "allowed") && !strings.Contains(want, "implies") {
			code = exitFailed
		}
		wants(t, command(t, "", "acl explain "+line), code, want)
	}
	if e := decode[*aclExplanation](t, must(t, "", "acl explain alice read --topic orders --json")); !e.Allowed || e.Rule == nil || len(e.Others) != 4 {
		t.Errorf("explained %+v", e)
	}
	must(t, "", "acl create --deny-principal bob --deny-host 10.0.0.9 --deny-host 2001:db8:0:0:0:0:0:1 --operation read --topic orders")
	wants(t, command(t, "", "acl explain bob read --topic orders"), exitOK, "allowed: User:bob", "but not from 10.0.0.9, 2001:db8::1")
	wants(t, command(t, "", "acl explain bob read --topic orders --host 2001:DB8:0::1"), exitFailed, "denied: User:bob may not read TOPIC:orders from 2001:db8::1")
	must(t, "", "acl delete --principal bob --host 10.0.0.9")
	must(t, "", "acl delete --principal bob --host 2001:0db8::1")
	wants(t, command(t, "", "acl delete --principal alice --topic orders --dry-run"), exitOK, "would be deleted")
	wants(t, command(t, "", "acl delete --principal alice --topic orders"), exitOK, "deleted")
	wants(t, command(t, "", "acl delete --principal alice --topic orders"), exitNotFound, "no ACL matches")
	if got := count(""); got != 6 {
		t.Errorf("%d are left", got)
	}
	rows = decode[[]aclRow](t, must(t, "", "acl create --allow-principal shop --producer --consumer --topic orders --group shop --json"))
	var did []string
	for _, r := range rows {
		did = append(did, r.Operation+" "+r.Type)
	}
	if got := strings.Join(did, ", "); got != "READ TOPIC, WRITE TOPIC, CREATE TOPIC, DESCRIBE TOPIC, READ GROUP" {
		t.Errorf("a producer and consumer may %s", got)
	}
	must(t, "", "acl create --allow-principal scheduler --operation create_tokens --user-principal alice")
	must(t, "", "acl create --allow-principal scheduler --operation describe --delegation-token User:alice")
	wants(t, command(t, "", "acl explain scheduler create_tokens --user-principal User:alice"), exitOK, "allowed: User:scheduler may create_tokens USER:User:alice")
	wants(t, command(t, "", "acl delete --principal scheduler --user-principal alice"), exitOK, "CREATE_TOKENS", "deleted")
	if got := count("--principal scheduler"); got != 1 {
		t.Errorf("%d of two are left", got)
	}
	must(t, "", "acl delete --all --resource-pattern-type any")
	if got := count(""); got != 0 {
		t.Errorf("%d are left", got)
	}
	for line, want := range map[string]string{
		"create --topic t --operation read":                                           "a principal is missing",
		"create --topic t --allow-principal a":                                        "--operation is missing",
		"create --topic t --allow-principal a --consumer":                             "--consumer with --topic and --group",
		"create --operation read --allow-principal a":                                 "a resource is missing",
		"create --topic t --operation reed --allow-principal a":                       "is no operation",
		"create --topic t --operation read --allow-principal :":                       "want User:NAME",
		"create --topic t --operation read --allow-principal a --deny-host h":         "a host needs a principal",
		"create --topic t --operation read --deny-principal a --deny-host 10.0.0.0/8": "must be an address",
		"create --topic t --operation read --deny-principal Group:a":                  "must be User:name",
		"create --topic t* --operation read --deny-principal a":                       "--topic t --resource-pattern-type prefixed",
		"create --group g --operation create --allow-principal a":                     "a GROUP doesn't have it",
		"create --topic t --allow-principal a --producer --group g":                   "producers have none",
		"delete":                                "say which ACLs",
		"explain a read":                        "name one resource",
		"explain a all --topic t":               "want one operation",
		"list --resource-pattern-type suffixed": "is no pattern type",
	} {
		wants(t, command(t, "", "acl "+line), exitUsage, want)
	}
	if out := must(t, "", "__complete acl create --operation idem"); !strings.Contains(out, "idempotent_write\n") {
		t.Errorf("completed to:\n%s", out)
	}
}

func TestACLsAreOff(t *testing.T) {
	startAgent(t)
	wants(t, command(t, "", "acl list"), exitFailed, "security.authorizer", "SECURITY_DISABLED")
}
