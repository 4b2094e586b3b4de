package kerberos

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"varve/auth/principal"
	"varve/internal/vfs"
)

// Config is whom tickets must be for, and how their clients are called.
type Config struct {
	KeytabFile  string        `yaml:"keytab_file" doc:"keytab with the keys of the service. Others than its owner and group must not be able to read it. It is read again when it changes"`
	ServiceName string        `yaml:"service_name" doc:"first part of the service's principal, as in the setting sasl.kerberos.service.name of clients: tickets for this service, on any host for which the keytab has a key, are accepted"`
	Principal   string        `yaml:"principal" doc:"the one principal for which tickets are accepted, as service/host@REALM; empty: all of service_name that the keytab has"`
	Realm       string        `yaml:"default_realm" doc:"realm whose principals the rule DEFAULT names; empty: the one of the keys in the keytab"`
	Rules       []string      `yaml:"principal_to_local_rules" doc:"how a client's principal becomes the name of a user, as Kafka's sasl.kerberos.principal.to.local.rules, a rule each: RULE:[n:format](pattern)s/find/replacement/g with L or U after it, or DEFAULT; empty: DEFAULT, the first part of principals of the default realm"`
	ClockSkew   time.Duration `yaml:"clock_skew" doc:"how far the clocks of clients and agent may differ; at most 10m"`
}

// DefaultConfig has everything that has a sensible default.
func DefaultConfig() Config { return Config{ServiceName: "kafka", ClockSkew: 5 * time.Minute} }

// On reports whether tickets are accepted at all.
func (c *Config) On() bool { return c.KeytabFile != "" }

const maxClockSkew = 10 * time.Minute

// Validate returns all that doesn't fit.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !c.On() && (c.Principal != "" || c.Realm != "" || len(c.Rules) > 0) {
		bad("keytab_file is empty: without the keys of the service the other settings are without effect")
	}
	if c.ServiceName == "" || strings.ContainsAny(c.ServiceName, "/@\\") {
		bad("service_name is %q: must be the first part of the service's principal, such as kafka", c.ServiceName)
	}
	if c.Principal != "" {
		if _, err := parseName(c.Principal); err != nil {
			bad("principal is %q: %w", c.Principal, err)
		}
	}
	if _, err := principal.ParseShort(c.Realm, c.Rules); err != nil {
		bad("principal_to_local_rules: %w", err)
	}
	if c.ClockSkew < 0 || c.ClockSkew > maxClockSkew {
		bad("clock_skew is %v: must be 0 to %v", c.ClockSkew, maxClockSkew)
	}
	return errors.Join(errs...)
}

// CheckFiles reads the keytab.
func (c *Config) CheckFiles(fs vfs.FS) error {
	if !c.On() || c.Validate() != nil {
		return nil
	}
	_, err := Open(*c, Deps{FS: fs, Log: slog.New(slog.DiscardHandler)})
	return err
}

// name is a principal.
type name struct {
	components []string
	realm      string
}

func (n name) String() string { return principal.Display(n.components, n.realm) }

// parseName reads a principal with its realm. One with a quoted / or @ is refused, as by Kafka.
func parseName(text string) (n name, err error) {
	first, realm, ok := strings.Cut(text, "@")
	n = name{strings.Split(first, "/"), realm}
	if !ok || !n.plain() {
		return name{}, errors.New("must be service/host@REALM")
	}
	return n, nil
}

// maxComponents bounds the parts of a principal. Only those with one or two have names for users.
const maxComponents = 8

// plain reports whether a principal has a sensible number of parts and can be written without
// quoting, so that no two look alike.
func (n name) plain() bool {
	if len(n.components) == 0 || len(n.components) > maxComponents {
		return false
	}
	for _, part := range append([]string{n.realm}, n.components...) {
		if part == "" || strings.ContainsAny(part, "/@\\") || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return false
		}
	}
	return true
}

// is reports whether two principals are the same.
func (n name) is(other name) bool {
	return n.realm == other.realm && slices.Equal(n.components, other.components)
}
