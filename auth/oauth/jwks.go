package oauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// algorithms are those that tokens may be signed with. None of them has a key that both sides
// know, so that a public key can't be taken for a secret one.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Bounds of a JWKS, which bound what a token can cost.
const (
	maxJWKS = 1 << 20 // bytes
	maxKeys = 100
	minRSA  = 2048 // bits
	maxRSA  = 8192
	maxTry  = 8 // keys for one token
)

// keySet is a JWKS (RFC 7517), as far as it can verify signatures.
type keySet struct {
	keys []jose.JSONWebKey
}

// parseJWKS returns the keys that can verify tokens. Others are left out: a JWKS may have
// keys of kinds that are newer than this program, or for other purposes.
func parseJWKS(b []byte) (*keySet, error) {
	if len(b) > maxJWKS {
		return nil, fmt.Errorf("the JWKS has more than %d bytes", maxJWKS)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, errors.New("it is no JWKS: a JSON object with keys is wanted")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the JWKS has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	s := new(keySet)
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil {
			continue
		}
		if key = key.Public(); verifies(&key) {
			s.keys = append(s.keys, key)
		}
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("none of the %d keys of the JWKS can verify tokens: wanted are public keys for signatures, of RSA (%d to %d bits), P-256, P-384, P-521 or Ed25519", len(set.Keys), minRSA, maxRSA)
	}
	return s, nil
}

// verifies reports whether a key is meant for signatures, and of a kind and size that is accepted.
func verifies(key *jose.JSONWebKey) bool {
	return key.Valid() && (key.Use == "" || key.Use == "sig") && slices.ContainsFunc(algorithms, func(a jose.SignatureAlgorithm) bool { return fits(key, a) })
}

// fits reports whether a key is for an algorithm.
func fits(key *jose.JSONWebKey, algorithm jose.SignatureAlgorithm) bool {
	if key.Algorithm != "" && key.Algorithm != string(algorithm) {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		return (strings.HasPrefix(string(algorithm), "RS") || strings.HasPrefix(string(algorithm), "PS")) && bits >= minRSA && bits <= maxRSA
	case *ecdsa.PublicKey:
		curve := map[jose.SignatureAlgorithm]string{jose.ES256: "P-256", jose.ES384: "P-384", jose.ES512: "P-521"}[algorithm]
		return curve != "" && k.Params().Name == curve
	case ed25519.PublicKey:
		return algorithm == jose.EdDSA
	}
	return false
}

// candidates returns the keys that may have signed a token: those with its id, or all if it has
// none, that fit its algorithm, at most maxTry.
func (s *keySet) candidates(kid string, algorithm jose.SignatureAlgorithm) (out []*jose.JSONWebKey) {
	if s == nil {
		return nil
	}
	for i := range s.keys {
		if key := &s.keys[i]; (kid == "" || key.KeyID == kid) && len(out) < maxTry && fits(key, algorithm) {
			out = append(out, key)
		}
	}
	return out
}
