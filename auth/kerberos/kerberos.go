// Package kerberos is the acceptor's side of GSS-API by Kerberos (RFC 4120, RFC 4121), as far as it
// takes to find out who a client is.
//
// It promises that a client counts as its principal only with a ticket for this service that is good
// now, and proof that it has the ticket's key, which can't be used twice; that encryption types that are
// broken aren't accepted; that the work for a token is bounded; and that no error holds a key.
// It never asks a KDC, and ignores the authorization data in tickets.
package kerberos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/types"

	"varve/internal/backoff"
	"varve/internal/chance"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// Deps is what an Acceptor needs.
type Deps struct {
	FS     vfs.FS
	Now    func() time.Time // nil is time.Now
	Random *chance.Source   // of keys; nil is the system's
	Log    *slog.Logger
	// Overheard: some clients send their tokens without TLS. Of those who don't ask for mutual
	// authentication, only tokens from after Open are then accepted: an older one could have been used
	// before, which nobody remembers.
	Overheard bool
}

// Acceptor accepts clients by the keytab that was read last. Many may use it at a time, but for
// refresh.
type Acceptor struct {
	cfg     Config
	deps    Deps
	keys    atomic.Pointer[keyring]
	seen    [sha256.Size]byte // of the keytab, when refresh last looked
	replays replays
	opened  time.Time
}

// Open reads the keytab.
func Open(cfg Config, deps Deps) (*Acceptor, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	a := &Acceptor{cfg: cfg, deps: deps, opened: deps.Now()}
	a.replays.window = 2*cfg.ClockSkew + time.Second
	if _, err := a.refresh(); err != nil {
		return nil, err
	}
	return a, nil
}

// lookEvery is how often the keytab is looked at.
const lookEvery = 5 * time.Second

// Run reads the keytab again when it changes, until ctx ends.
func (a *Acceptor) Run(ctx context.Context) {
	for backoff.Sleep(ctx, lookEvery) == nil {
		switch changed, err := a.refresh(); {
		case err != nil:
			a.deps.Log.Error("changed keytab not used: the one from before stays in use", "err", err)
		case changed:
			a.deps.Log.Info("keytab replaced", "file", a.cfg.KeytabFile, "keys", len(a.keys.Load().keys))
		}
	}
}

// refresh reads the keytab again. After an error the one from before stays in use. An error is
// returned once for each content of the file.
func (a *Acceptor) refresh() (changed bool, err error) {
	content, err := tlsfile.ReadPrivate(a.deps.FS, a.cfg.KeytabFile, maxKeytab)
	sum := sha256.Sum256(bytes.Join([][]byte{{1}, content}, nil))
	if err != nil {
		sum = sha256.Sum256([]byte(err.Error()))
	}
	if sum == a.seen {
		return false, nil
	}
	a.seen = sum
	if err == nil {
		var fresh *keyring
		if fresh, err = parseKeytab(&a.cfg, content); err == nil {
			a.keys.Store(fresh)
			return true, nil
		}
		err = fmt.Errorf("%s: %w", a.cfg.KeytabFile, err)
	}
	return false, fmt.Errorf("keytab_file: %w", err)
}

// Serves returns the principal for which clients ask a ticket to log in at a host, and reports whether
// the keytab has a key of it.
func (a *Acceptor) Serves(host string) (principal string, ok bool) {
	return a.cfg.ServiceName + "/" + host, slices.ContainsFunc(a.keys.Load().keys, func(k serviceKey) bool {
		return len(k.of.components) == 2 && k.of.components[0] == a.cfg.ServiceName && strings.EqualFold(k.of.components[1], host)
	})
}

// keyBytes are the lengths of the keys of the encryption types that are accepted. Others are weak: DES,
// and RC4, whose keys are unsalted hashes of passwords.
var keyBytes = map[int32]int{
	etypeID.AES128_CTS_HMAC_SHA1_96: 16, etypeID.AES256_CTS_HMAC_SHA1_96: 32,
	etypeID.AES128_CTS_HMAC_SHA256_128: 16, etypeID.AES256_CTS_HMAC_SHA384_192: 32,
}

const strongNames = "aes256-cts-hmac-sha384-192, aes128-cts-hmac-sha256-128, aes256-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96"

// strong reports whether a key is of an encryption type that is accepted, and as long as it must be.
func strong(k types.EncryptionKey) bool {
	n, ok := keyBytes[k.KeyType]
	return ok && len(k.KeyValue) == n
}

// guard makes a panic of the library an error. It reads ASN.1 by a fork of an old encoding/asn1, and
// takes for granted that what it reads is as long and has as many parts as it should; a client that isn't
// authenticated must not end the process by that.
func guard(err *error, instead error) {
	if recover() != nil {
		*err = instead
	}
}
