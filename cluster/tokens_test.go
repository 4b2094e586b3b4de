package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"varve/auth/token"
	"varve/metadata"
	"varve/metadata/schema"
)

func sampleToken(owner string, life time.Duration) schema.Token {
	now := time.UnixMilli(time.Now().UnixMilli())
	return schema.Token{Owner: owner, Requester: owner, Renewers: []string{}, Times: token.Times{Issued: now, Expires: now.Add(life), Max: now.Add(2 * life)},
		Scram: map[schema.ScramMechanism]schema.ScramCredential{}}
}

// A token is shown when it was made, found by its proof, and forgotten when it was deleted; other
// agents follow.
func TestTokensAreShown(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, there *Editor) {
		one, other := sampleToken("User:a", time.Hour), sampleToken("User:a", time.Minute)
		one.Secret = token.SecretID{1}
		one.Proof, other.Proof = token.ProofOf([]byte("one")), token.ProofOf([]byte("other"))
		if err := errors.Join(here.CreateToken(t.Context(), "one", one), here.CreateToken(t.Context(), "other", other)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, e := range []*Editor{here, there} {
			ts := NewTokens(e.view)
			id, ok := ts.Find(one.Proof)
			if got, there := ts.Get("one"); !ok || id != "one" || !there || got.Owner != "User:a" || len(ts.All()) != 2 {
				t.Errorf("%q, %v, %+v", id, ok, got)
			}
			if all, own := ts.count("User:a"); all != 2 || own != 2 {
				t.Errorf("%d, %d", all, own)
			}
			if mine, none := ts.Foreign(&token.SecretID{1}), ts.Foreign(nil); mine != 1 || none != 2 {
				t.Errorf("%d, %d of other secrets", mine, none)
			}
		}
		if err := there.AlterToken(t.Context(), "one", func(*schema.Token) (bool, error) { return false, nil }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, e := range []*Editor{here, there} {
			ts := NewTokens(e.view)
			if _, ok := ts.Find(one.Proof); ok {
				t.Error("a deleted token is found")
			}
			if _, ok := ts.Find(other.Proof); !ok {
				t.Error("the other isn't")
			}
			if n := ts.Foreign(&token.SecretID{1}); n != 1 {
				t.Errorf("%d of other secrets are left", n)
			}
		}
		if err := here.AlterToken(t.Context(), "one", nil); !errors.Is(err, ErrUnknownToken) {
			t.Errorf("changed after it was deleted: %v", err)
		}
	})
}

// Tokens that are over are deleted, and no others: not one that was renewed, which this agent
// hasn't seen yet.
func TestTokensAreDropped(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, _ *Editor) {
		for id, life := range map[string]time.Duration{"short": time.Minute, "renewed": time.Minute, "long": time.Hour} {
			if err := here.CreateToken(t.Context(), id, sampleToken("User:"+id, life)); err != nil {
				t.Fatal(err)
			}
		}
		now := time.Now().Add(time.Minute + time.Millisecond)
		late := sampleToken("User:renewed", time.Hour)
		stale := &Editor{view: here.view, store: renewing{here.store, late}}
		dropped, err := stale.DropTokens(t.Context(), now)
		if _, ok := dropped["short"]; err != nil || !ok || len(dropped) != 1 {
			t.Errorf("%v, %v", dropped, err)
		}
		if all := NewTokens(here.view).All(); len(all) != 2 {
			t.Errorf("left: %v", all)
		}
	})
}

// renewing is a store in which a token is renewed when it is read.
type renewing struct {
	metadata.Store
	late schema.Token
}

func (r renewing) Get(ctx context.Context, key string) (metadata.KV, error) {
	kv, err := r.Store.Get(ctx, key)
	if key == schema.TokenKey("renewed") {
		kv.Value = r.late.Encode()
	}
	return kv, err
}

// A cluster, and an owner, has a bounded number of tokens.
func TestTokensAreBounded(t *testing.T) {
	withViews(t, func(t *testing.T, _ *metadata.Memory, here, _ *Editor) {
		var err error
		n := 0
		for ; err == nil; n++ {
			err = here.CreateToken(t.Context(), fmt.Sprint(n), sampleToken("User:a", time.Hour))
		}
		if !errors.Is(err, ErrTooManyTokens) || n != MaxTokensOfOwner+1 {
			t.Errorf("%d: %v", n, err)
		}
		for err = nil; err == nil; n++ {
			err = here.CreateToken(t.Context(), fmt.Sprint(n), sampleToken(fmt.Sprint("User:", n/50), time.Hour))
		}
		if all, _ := NewTokens(here.view).count(""); !errors.Is(err, ErrTooManyTokens) || all != MaxTokens {
			t.Errorf("%d: %v", all, err)
		}
	})
}
