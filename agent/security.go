package agent

import (
	"errors"
	"fmt"
	"strings"

	"varve/auth/kerberos"
	"varve/auth/oauth"
	"varve/auth/token"
	"varve/cluster"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// SecurityConfig is who may do what.
type SecurityConfig struct {
	AuthorizerConfig `yaml:",inline"`

	BootstrapUserFile string          `yaml:"bootstrap_user_file" doc:"file with name:password of the first user. It is created once, when the cluster has no users; VARVE_BOOTSTRAP_USER=name:password does the same. Others than its owner and group must not be able to read it"`
	AuditTopic        string          `yaml:"audit_topic" doc:"topic to which the audit log is written, too, beside the log. It is created if it is missing. All agents of a cluster should have the same; empty: none"`
	OAuth             oauth.Config    `yaml:"oauth" doc:"which tokens of OAUTHBEARER are good"`
	Kerberos          kerberos.Config `yaml:"kerberos" doc:"which tickets of GSSAPI are good"`
	Tokens            token.Config    `yaml:"delegation_tokens" doc:"tokens by which clients log in as their owners (KIP-48)"`
	// BootstrapUser is name:password, from the environment.
	BootstrapUser string `yaml:"-"`
}

// errBootstrapUser never shows what was given.
var errBootstrapUser = errors.New("must be name:password, neither of them empty, in one line")

func (c *SecurityConfig) validate() error {
	return errors.Join(c.validateUser(), c.validateAuditTopic())
}

func (c *SecurityConfig) validateAuditTopic() error {
	switch {
	case c.AuditTopic == "":
		return nil
	case cluster.IsInternal(c.AuditTopic):
		return fmt.Errorf("security.audit_topic is %q: Kafka keeps that topic for itself", c.AuditTopic)
	}
	if err := cluster.CheckTopicName(c.AuditTopic); err != nil {
		return fmt.Errorf("security.audit_topic is %q: %w", c.AuditTopic, err)
	}
	return nil
}

func (c *SecurityConfig) validateUser() error {
	if c.BootstrapUser == "" {
		return nil
	}
	if c.BootstrapUserFile != "" {
		return errors.New("security.bootstrap_user_file and VARVE_BOOTSTRAP_USER are both set: give one of them")
	}
	if _, _, err := splitUser(c.BootstrapUser); err != nil {
		return fmt.Errorf("VARVE_BOOTSTRAP_USER: %w", err)
	}
	return nil
}

func (c *SecurityConfig) checkFiles(fs vfs.FS) error {
	_, _, _, err := c.firstUser(fs)
	_, tokens := token.Open(c.Tokens, fs)
	return errors.Join(err, under("security.delegation_tokens.", tokens), under("security.oauth.", c.OAuth.CheckFiles(fs)), under("security.kerberos.", c.Kerberos.CheckFiles(fs)))
}

// firstUser returns the first user of a cluster, if the settings name one.
func (c *SecurityConfig) firstUser(fs vfs.FS) (name, password string, ok bool, err error) {
	text := c.BootstrapUser
	if c.BootstrapUserFile != "" {
		if text, err = tlsfile.ReadSecret(fs, c.BootstrapUserFile); err != nil {
			return "", "", false, fmt.Errorf("security.bootstrap_user_file: %w", err)
		}
		if _, _, err := splitUser(text); err != nil {
			return "", "", false, fmt.Errorf("security.bootstrap_user_file: %s: %w", c.BootstrapUserFile, err)
		}
	}
	if text == "" {
		return "", "", false, nil
	}
	name, password, err = splitUser(text)
	return name, password, err == nil, err
}

func splitUser(text string) (name, password string, err error) {
	name, password, ok := strings.Cut(text, ":")
	if !ok || name == "" || password == "" || strings.ContainsAny(text, "\r\n\x00") {
		return "", "", errBootstrapUser
	}
	return name, password, nil
}
