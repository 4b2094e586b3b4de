package cluster

import (
	"maps"
	"slices"

	"varve/auth/token"
	"varve/metadata/schema"
)

// Tokens are the delegation tokens that a view shows.
type Tokens struct{ view *View }

// NewTokens returns those of a view.
func NewTokens(v *View) *Tokens { return &Tokens{v} }

// Get returns a token by its id. It must not be changed.
func (ts *Tokens) Get(id string) (schema.Token, bool) {
	ts.view.mu.RLock()
	defer ts.view.mu.RUnlock()
	t, ok := ts.view.mu.tokens.rows[id]
	return t, ok
}

// Find returns the id of the token whose HMAC has a proof.
func (ts *Tokens) Find(p token.Proof) (id string, ok bool) {
	ts.view.mu.RLock()
	defer ts.view.mu.RUnlock()
	id, ok = ts.view.mu.proofs[p]
	return id, ok
}

// IDs returns the ids of all tokens.
func (ts *Tokens) IDs() []string {
	ts.view.mu.RLock()
	defer ts.view.mu.RUnlock()
	return slices.Collect(maps.Keys(ts.view.mu.tokens.rows))
}

// All returns all tokens by id. They must not be changed.
func (ts *Tokens) All() map[string]schema.Token {
	ts.view.mu.RLock()
	defer ts.view.mu.RUnlock()
	return ts.view.mu.tokens.copied()
}

// Changed returns a channel that is closed at the next change of a token. Take it before looking.
func (ts *Tokens) Changed() <-chan struct{} { return ts.view.mu.newToken.Next() }

// Foreign returns how many tokens another secret than own made; all count if own is nil.
func (ts *Tokens) Foreign(own *token.SecretID) int {
	ts.view.mu.RLock()
	defer ts.view.mu.RUnlock()
	n := len(ts.view.mu.tokens.rows)
	if own != nil {
		n -= ts.view.mu.tokensBy[*own]
	}
	return n
}

// count returns how many tokens there are, and how many of them are an owner's.
func (ts *Tokens) count(owner string) (all, own int) {
	ts.view.mu.RLock()
	defer ts.view.mu.RUnlock()
	return len(ts.view.mu.tokens.rows), ts.view.mu.tokensOf[owner]
}

// tokenProofs are ids of tokens by their proofs.
type tokenProofs map[token.Proof]string

// tokenOwners are how many tokens owners have.
type tokenOwners map[string]int

// tokenSecrets are how many tokens secrets have made.
type tokenSecrets map[token.SecretID]int

// tokenChanged keeps what is derived from tokens.
func (t *tables) tokenChanged(id string, before, now *schema.Token) {
	t.newToken.Send()
	if before != nil {
		if t.proofs[before.Proof] == id {
			delete(t.proofs, before.Proof)
		}
		if t.tokensOf[before.Owner]--; t.tokensOf[before.Owner] == 0 {
			delete(t.tokensOf, before.Owner)
		}
		if t.tokensBy[before.Secret]--; t.tokensBy[before.Secret] == 0 {
			delete(t.tokensBy, before.Secret)
		}
	}
	if now != nil {
		t.proofs[now.Proof] = id
		t.tokensOf[now.Owner]++
		t.tokensBy[now.Secret]++
	}
}
