package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"varve/metadata"
	"varve/metadata/schema"
)

// How many delegation tokens a cluster may have, and one owner: every agent keeps all of them in
// memory, up to 6 KiB each if they have many renewers with long names.
const (
	MaxTokens        = 10_000
	MaxTokensOfOwner = 100
)

// Errors of tokens.
var (
	ErrTooManyTokens = errors.New("too many delegation tokens")
	ErrUnknownToken  = errors.New("no such delegation token")
	errRenewed       = errors.New("it was renewed")
)

// CreateToken stores a token with a new id, and returns once the view shows it. The number of
// tokens is that of the view: agents that create some at the same time may exceed the bounds a
// little.
func (e *Editor) CreateToken(ctx context.Context, id string, t schema.Token) error {
	switch all, own := NewTokens(e.view).count(t.Owner); {
	case all >= MaxTokens:
		return Refuse(ErrTooManyTokens, "The cluster has %d delegation tokens, the most that are allowed", all)
	case own >= MaxTokensOfOwner:
		return Refuse(ErrTooManyTokens, "%s has %d delegation tokens, the most that are allowed", t.Owner, own)
	}
	key := schema.TokenKey(id)
	rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: key}}, metadata.Put(key, t.Encode()))
	if err != nil {
		return fmt.Errorf("create delegation token: %w", err)
	}
	return e.view.Await(ctx, schema.PrefixTokens, rev)
}

// AlterToken changes a token, or deletes it if change returns false, and returns once the view
// shows that. An error of change is returned, and nothing is changed. change may be called again
// if somebody else changes the token at the same time.
func (e *Editor) AlterToken(ctx context.Context, id string, change func(*schema.Token) (keep bool, err error)) error {
	key := schema.TokenKey(id)
	for {
		kv, err := e.store.Get(ctx, key)
		if errors.Is(err, metadata.ErrNotFound) {
			return ErrUnknownToken
		}
		if err != nil {
			return fmt.Errorf("read delegation token: %w", err)
		}
		t, err := schema.DecodeToken(kv.Value)
		if err != nil {
			return err
		}
		keep, err := change(&t)
		if err != nil {
			return err
		}
		op := metadata.Delete(key)
		if keep {
			op = metadata.Put(key, t.Encode())
		}
		rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, op)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change delegation token: %w", err)
		}
		return e.view.Await(ctx, schema.PrefixTokens, rev)
	}
}

// DropTokens deletes the tokens that are over, and returns them. One that is renewed meanwhile
// stays.
func (e *Editor) DropTokens(ctx context.Context, now time.Time) (dropped map[string]schema.Token, err error) {
	dropped = map[string]schema.Token{}
	all := NewTokens(e.view).All()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		t := all[id]
		if !t.Over(now) {
			continue
		}
		err := e.AlterToken(ctx, id, func(t *schema.Token) (bool, error) {
			if !t.Over(now) {
				return true, errRenewed
			}
			return false, nil
		})
		switch {
		case err == nil:
			dropped[id] = t
		case !errors.Is(err, ErrUnknownToken) && !errors.Is(err, errRenewed):
			return dropped, fmt.Errorf("delete expired delegation tokens: %w", err)
		}
	}
	return dropped, nil
}
