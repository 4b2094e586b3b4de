package agent

import (
	"errors"
	"fmt"
	"strconv"

	"varve/auth/acl"
	"varve/broker"
)

// AuthorizerConfig is how requests are authorized.
type AuthorizerConfig struct {
	Authorizer    string   `yaml:"authorizer" doc:"none: every request is allowed, and requests about ACLs get SECURITY_DISABLED. acl: requests are allowed and denied by ACLs. Every agent applies its own setting, so all of a cluster should have the same"`
	SuperUsers    []string `yaml:"super_users" doc:"principals that are allowed everything, such as User:admin"`
	AllowEveryone bool     `yaml:"allow_everyone_if_no_acl_found" doc:"allow everyone what no ACL is for, but nothing about users and delegation tokens; a resource that some ACL matches isn't affected"`
}

// What security.authorizer may be.
const (
	AuthorizerNone = "none"
	AuthorizerACL  = "acl"
)

// Validate returns all that doesn't fit.
func (c *AuthorizerConfig) Validate() error {
	var errs []error
	if c.Authorizer != AuthorizerNone && c.Authorizer != AuthorizerACL {
		errs = append(errs, fmt.Errorf("authorizer is %s: must be %s or %s", strconv.Quote(c.Authorizer), AuthorizerNone, AuthorizerACL))
	}
	for i, u := range c.SuperUsers {
		if acl.CheckPrincipal(u) != nil {
			errs = append(errs, fmt.Errorf("super_users[%d] is %s: must be Type:name, as User:admin", i, strconv.Quote(u)))
		}
	}
	return errors.Join(errs...)
}

// broker returns what the broker needs of it.
func (c *AuthorizerConfig) broker() broker.Security {
	return broker.Security{ACLs: c.Authorizer == AuthorizerACL, SuperUsers: c.SuperUsers, AllowEveryone: c.AllowEveryone}
}
