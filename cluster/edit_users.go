package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/metadata"
	"varve/metadata/schema"
)

// ScramChange sets or, if Credential is nil, removes what a user has for a mechanism.
type ScramChange struct {
	Mechanism  schema.ScramMechanism
	Credential *schema.ScramCredential
}

// ErrNoCredential: a credential was to be removed that isn't there.
var ErrNoCredential = errors.New("no such credential")

// AlterUser changes a user's credentials: all of the changes, or none. A user without credentials
// doesn't exist.
func (e *Editor) AlterUser(ctx context.Context, name string, changes ...ScramChange) error {
	key := schema.UserKey(name)
	for {
		kv, err := e.store.Get(ctx, key)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return fmt.Errorf("read user: %w", err)
		}
		u := schema.User{Scram: map[schema.ScramMechanism]schema.ScramCredential{}}
		if err == nil {
			if u, err = schema.DecodeUser(kv.Value); err != nil {
				return err
			}
		}
		if err := applyScram(&u, changes); err != nil {
			return err
		}
		op := metadata.Put(key, u.Encode())
		if len(u.Scram) == 0 {
			op = metadata.Delete(key)
		}
		rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, op)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change user: %w", err)
		}
		if kv.Mod == 0 && op.Delete {
			return nil // nothing changed, nothing will be seen
		}
		return e.view.Await(ctx, schema.PrefixUsers, rev)
	}
}

func applyScram(u *schema.User, changes []ScramChange) error {
	for _, c := range changes {
		if c.Credential != nil {
			u.Scram[c.Mechanism] = *c.Credential
			continue
		}
		if _, ok := u.Scram[c.Mechanism]; !ok {
			return ErrNoCredential
		}
		delete(u.Scram, c.Mechanism)
	}
	u.Changed = time.Now()
	return nil
}

// Security returns what the cluster's agents share for authentication. The first caller makes it.
func (e *Editor) Security(ctx context.Context) (schema.Security, error) {
	s, _, err := e.security(ctx)
	return s, err
}

func (e *Editor) security(ctx context.Context) (s schema.Security, mod metadata.Revision, err error) {
	for {
		kv, err := e.store.Get(ctx, schema.KeySecurity)
		if err == nil {
			s, err = schema.DecodeSecurity(kv.Value)
			return s, kv.Mod, err
		}
		if !errors.Is(err, metadata.ErrNotFound) {
			return s, 0, fmt.Errorf("read %s: %w", schema.KeySecurity, err)
		}
		s.Secret = make([]byte, schema.SecretBytes)
		_, _ = e.random.Read(s.Secret) // never fails
		_, err = e.store.Txn(ctx, []metadata.Guard{{Key: schema.KeySecurity}}, metadata.Put(schema.KeySecurity, s.Encode()))
		if err != nil && !errors.Is(err, metadata.ErrConflict) {
			return s, 0, fmt.Errorf("write %s: %w", schema.KeySecurity, err)
		}
	}
}

// FirstUser creates a user in a cluster that has never had one, and reports whether it did. A
// cluster that has had users once never gets a first one again, even if all were deleted.
func (e *Editor) FirstUser(ctx context.Context, name string, scram map[schema.ScramMechanism]schema.ScramCredential) (created bool, err error) {
	for {
		s, mod, err := e.security(ctx)
		if err != nil || !s.FirstUser.IsZero() {
			return false, err
		}
		there, _, err := e.store.List(ctx, schema.PrefixUsers)
		if err != nil {
			return false, fmt.Errorf("list users: %w", err)
		}
		s.FirstUser = time.Now()
		key := schema.UserKey(name)
		guards := []metadata.Guard{{Key: schema.KeySecurity, Mod: mod}}
		ops := []metadata.Op{metadata.Put(schema.KeySecurity, s.Encode())}
		if len(there) == 0 {
			guards = append(guards, metadata.Guard{Key: key})
			ops = append(ops, metadata.Put(key, schema.User{Changed: s.FirstUser, Scram: scram}.Encode()))
		}
		rev, err := e.store.Txn(ctx, guards, ops...)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil || len(there) > 0 {
			return false, err
		}
		return true, e.view.Await(ctx, schema.PrefixUsers, rev)
	}
}
