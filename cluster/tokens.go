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

// tokenChanged keeps what is derived from tokens.
func (t *tables) tokenChanged(id string, before, now *schema.Token) {
	if before != nil {
		if t.proofs[before.Proof] == id {
			delete(t.proofs, before.Proof)
		}
		if t.tokensOf[before.Owner]--; t.tokensOf[before.Owner] == 0 {
			delete(t.tokensOf, before.Owner)
		}
	}
	if now != nil {
		t.proofs[now.Proof] = id
		t.tokensOf[now.Owner]++
	}
}
