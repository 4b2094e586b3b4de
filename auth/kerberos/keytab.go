package kerberos

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/types"

	"varve/auth/principal"
)

// Bounds of a keytab, which bound what a ticket can cost.
const (
	maxKeytab = 1 << 20 // bytes
	maxTry    = 4       // keys for one ticket
)

// serviceKey is one key of the service.
type serviceKey struct {
	of      name
	version uint32
	made    time.Time
	key     types.EncryptionKey
}

// keyring is what was read from the keytab at one time.
type keyring struct {
	keys  []serviceKey // those that tickets may be for, the newest first
	names principal.ShortRules
}

// parseKeytab returns the keys of the service. Those of encryption types that aren't accepted
// are left out.
func parseKeytab(cfg *Config, b []byte) (k *keyring, err error) {
	defer guard(&err, errors.New("it is damaged"))
	var tab keytab.Keytab
	if err := tab.Unmarshal(b); err != nil {
		return nil, errors.New("it is no keytab, or damaged") // the library's error may quote it
	}
	k = new(keyring)
	var others []string
	weak := false
	for _, e := range tab.Entries {
		of := name{e.Principal.Components, e.Principal.Realm}
		if !of.plain() || !cfg.serves(of) {
			others = append(others, of.String())
			continue
		}
		if !strong(e.Key) {
			weak = true
			continue
		}
		k.keys = append(k.keys, serviceKey{of, e.KVNO, e.Timestamp, e.Key})
	}
	if len(k.keys) == 0 {
		return nil, cfg.noKeys(weak, others)
	}
	slices.SortStableFunc(k.keys, func(a, b serviceKey) int { return -cmp.Or(a.made.Compare(b.made), cmp.Compare(a.version, b.version)) })
	realm := cfg.Realm
	for _, key := range k.keys {
		if cfg.Realm == "" && realm != "" && key.of.realm != realm {
			return nil, fmt.Errorf("it has keys of the realms %s and %s: set default_realm to the one whose principals the rule DEFAULT names", realm, key.of.realm)
		}
		realm = cmp.Or(cfg.Realm, key.of.realm)
	}
	k.names, err = principal.ParseShort(realm, cfg.Rules)
	return k, err
}

// serves reports whether tickets for a principal are accepted.
func (c *Config) serves(n name) bool {
	if c.Principal != "" {
		return n.String() == c.Principal
	}
	return n.components[0] == c.ServiceName
}

// noKeys returns the error of a keytab without a key that can be used.
func (c *Config) noKeys(weak bool, others []string) error {
	wanted := cmp.Or(c.Principal, c.ServiceName+"/...")
	slices.Sort(others)
	others = slices.Compact(others)
	switch {
	case weak:
		return fmt.Errorf("all its keys of %s are of weak encryption types: one of %s is needed", wanted, strongNames)
	case len(others) == 0:
		return errors.New("it has no keys")
	}
	return fmt.Errorf("it has no key of %s, only of %s", wanted, strings.Join(others[:min(len(others), 5)], ", "))
}

// candidates returns the keys that a ticket may be encrypted with, at most maxTry. version 0 is any.
func (k *keyring) candidates(of name, version int, encryption int32) (out []types.EncryptionKey, err error) {
	known, versioned := false, false
	for _, key := range k.keys {
		if !key.of.is(of) {
			continue
		}
		known = true
		// Old keytabs have only the low byte of a version.
		if v := uint32(version); v != 0 && key.version != v && (key.version > 0xff || key.version != v&0xff) {
			continue
		}
		versioned = true
		if key.key.KeyType == encryption && len(out) < maxTry {
			out = append(out, key.key)
		}
	}
	switch {
	case !known:
		return nil, fmt.Errorf("the ticket is for %.200s, of which the keytab has no key", of.String())
	case !versioned:
		return nil, fmt.Errorf("the ticket is for version %d of the key of %s, which the keytab doesn't have: was it changed after the keytab was written?", version, of)
	case len(out) == 0:
		return nil, fmt.Errorf("the ticket is of encryption type %d, of which the keytab has no key of %s", encryption, of)
	}
	return out, nil
}
