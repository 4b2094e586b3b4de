package cluster

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"varve/metadata"
	"varve/metadata/schema"
)

func withEditor(t *testing.T, f func(ctx context.Context, e *Editor, v *View)) {
	synctest.Test(t, func(t *testing.T) {
		store := metadata.NewMemory().Open()
		ctx, cancel := context.WithCancel(t.Context())
		v := NewView(store, slog.New(slog.DiscardHandler))
		go v.Run(ctx)
		defer func() { cancel(); store.Close(); synctest.Wait() }()
		<-v.Ready()
		f(ctx, NewEditor(v, store, nil), v)
	})
}

var verifier = schema.ScramCredential{Iterations: 4096, Salt: []byte{1}, StoredKey: []byte{2}, ServerKey: []byte{3}}

// Changes of a user are seen when AlterUser returns; the last credential takes the user with it.
func TestUsersAreTheirCredentials(t *testing.T) {
	withEditor(t, func(ctx context.Context, e *Editor, v *View) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(e.AlterUser(ctx, "a/b", ScramChange{schema.ScramSHA256, &verifier}, ScramChange{schema.ScramSHA512, &verifier}))
		if u, ok := NewUsers(v).Get("a/b"); !ok || len(u.Scram) != 2 || u.Changed.IsZero() {
			t.Errorf("%+v, %v", u, ok)
		}
		must(e.AlterUser(ctx, "a/b", ScramChange{Mechanism: schema.ScramSHA256}))
		if err := e.AlterUser(ctx, "a/b", ScramChange{Mechanism: schema.ScramSHA512}, ScramChange{Mechanism: schema.ScramSHA256}); !errors.Is(err, ErrNoCredential) {
			t.Errorf("removed what isn't there: %v", err)
		}
		if u, ok := NewUsers(v).Get("a/b"); !ok || len(u.Scram) != 1 {
			t.Errorf("a change that failed was made in part: %+v, %v", u, ok)
		}
		must(e.AlterUser(ctx, "a/b", ScramChange{Mechanism: schema.ScramSHA512}))
		if len(NewUsers(v).All()) != 0 {
			t.Errorf("%v", NewUsers(v).All())
		}
	})
}

// The first user is created once, by one agent, and never again after it was deleted.
func TestFirstUserIsCreatedOnce(t *testing.T) {
	withEditor(t, func(ctx context.Context, e *Editor, v *View) {
		scram := map[schema.ScramMechanism]schema.ScramCredential{schema.ScramSHA512: verifier}
		results := make(chan bool, 2)
		for range 2 {
			go func() {
				created, err := e.FirstUser(ctx, "admin", scram)
				if err != nil {
					t.Error(err)
				}
				results <- created
			}()
		}
		if a, b := <-results, <-results; a == b {
			t.Errorf("created: %v, %v", a, b)
		}
		secret, err := e.Security(ctx)
		if err != nil || len(secret.Secret) != schema.SecretBytes {
			t.Errorf("%+v, %v", secret, err)
		}
		if err := e.AlterUser(ctx, "admin", ScramChange{Mechanism: schema.ScramSHA512}); err != nil {
			t.Fatal(err)
		}
		if created, err := e.FirstUser(ctx, "admin", scram); created || err != nil || len(NewUsers(v).All()) != 0 {
			t.Errorf("created again: %v, %v", created, err)
		}
	})
}

// A cluster that has users already needs no first one, now or later.
func TestFirstUserIsNotAddedToOthers(t *testing.T) {
	withEditor(t, func(ctx context.Context, e *Editor, v *View) {
		if err := e.AlterUser(ctx, "someone", ScramChange{schema.ScramSHA256, &verifier}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if created, err := e.FirstUser(ctx, "admin", nil); created || err != nil {
				t.Errorf("%v, %v", created, err)
			}
			_ = e.AlterUser(ctx, "someone", ScramChange{Mechanism: schema.ScramSHA256})
		}
		if len(NewUsers(v).All()) != 0 {
			t.Errorf("%v", NewUsers(v).All())
		}
	})
}
