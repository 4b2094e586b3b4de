package agent

import (
	"strings"
	"testing"
)

func TestSecurityConfig(t *testing.T) {
	c := DefaultConfig()
	if c.Security.Authorizer != AuthorizerNone || c.Security.broker().ACLs {
		t.Error("ACLs are on by default")
	}
	c.Security.AuthorizerConfig = AuthorizerConfig{Authorizer: AuthorizerACL, SuperUsers: []string{"User:admin"}}
	if err := c.Validate(); err != nil || !c.Security.broker().ACLs {
		t.Error(err)
	}
	c.Security.AuthorizerConfig = AuthorizerConfig{Authorizer: "simple", SuperUsers: []string{"User:admin", "admin"}}
	err := c.Validate()
	for _, want := range []string{`security.authorizer is "simple": must be none or acl`, `security.super_users[1] is "admin": must be Type:name`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
}
