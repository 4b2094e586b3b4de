package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"

	"varve/internal/chance"
)

// How often a password may be hashed: Kafka's bounds, and its default.
const (
	MinIterations     = 4096
	MaxIterations     = 16384
	DefaultIterations = 4096
)

// hashes are the hash functions of the mechanisms.
var hashes = map[string]func() hash.Hash{ScramSHA256: sha256.New, ScramSHA512: sha512.New}

// Credential is a password's verifier for a mechanism of SCRAM.
type Credential struct {
	Iterations int
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
}

// saltBytes is the length of the salts that are made here.
const saltBytes = 24

// NewCredential makes a verifier of a password, with a salt of its own. As Kafka, it takes
// names and passwords as their bytes in UTF-8, without SASLprep.
func NewCredential(mechanism, password string, iterations int, random *chance.Source) (Credential, error) {
	salt := make([]byte, saltBytes)
	_, _ = random.Read(salt) // never fails
	salted, err := Salted(mechanism, password, salt, iterations)
	if err != nil {
		return Credential{}, err
	}
	return FromSalted(mechanism, salt, salted, iterations)
}

// Salted hashes a password: RFC 5802's SaltedPassword.
func Salted(mechanism, password string, salt []byte, iterations int) ([]byte, error) {
	h, ok := hashes[mechanism]
	if !ok {
		return nil, fmt.Errorf("%q is no mechanism of SCRAM", mechanism)
	}
	return pbkdf2.Key(h, password, salt, iterations, h().Size())
}

// FromSalted makes the verifier of a password that was hashed.
func FromSalted(mechanism string, salt, salted []byte, iterations int) (Credential, error) {
	h, ok := hashes[mechanism]
	if !ok {
		return Credential{}, fmt.Errorf("%q is no mechanism of SCRAM", mechanism)
	}
	client := digest(h, salted, "Client Key")
	sum := h()
	sum.Write(client)
	return Credential{iterations, salt, sum.Sum(nil), digest(h, salted, "Server Key")}, nil
}

// matches reports whether a password is the credential's.
func (c *Credential) matches(mechanism, password string) bool {
	salted, err := Salted(mechanism, password, c.Salt, c.Iterations)
	if err != nil {
		return false
	}
	given, err := FromSalted(mechanism, c.Salt, salted, c.Iterations)
	return err == nil && subtle.ConstantTimeCompare(given.StoredKey, c.StoredKey) == 1
}

// digest is HMAC(key, text).
func digest(h func() hash.Hash, key []byte, text string) []byte {
	mac := hmac.New(h, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// madeUp returns the credential of a user who doesn't exist. It is the same each time, and
// no password matches it.
func (s *Server) madeUp(user, mechanism string) Credential {
	return s.madeUpFor("", user, mechanism)
}

// madeUpFor is madeUp for a kind of names: one that exists in neither of two kinds has another
// credential in each, as one has that exists.
func (s *Server) madeUpFor(kind, name, mechanism string) Credential {
	part := func(of string, n int) []byte {
		b := digest(sha512.New, s.o.Secret, kind+of+"\x00"+mechanism+"\x00"+name)
		return b[:n]
	}
	n := hashes[mechanism]().Size()
	return Credential{DefaultIterations, part("salt", saltBytes), part("stored key", n), part("server key", n)}
}

// credential returns a user's credential, or a made-up one.
func (s *Server) credential(user, mechanism string) Credential {
	if c, ok := s.lookup(user, mechanism); ok {
		return c
	}
	return s.madeUp(user, mechanism)
}

// token returns a delegation token's credential, or a made-up one.
func (s *Server) token(id, mechanism string) TokenCredential {
	if s.o.Token != nil {
		if t, ok := s.o.Token(id, mechanism); ok && t.usable() {
			return t
		}
	}
	return TokenCredential{Credential: s.madeUpFor("token ", id, mechanism)}
}

// lookup returns a user's credential. One that costs more to check than any that is made isn't
// used: it would keep the processors, here and, with SCRAM, the client's.
func (s *Server) lookup(user, mechanism string) (Credential, bool) {
	c, ok := s.o.Lookup(user, mechanism)
	if !ok || !c.usable() {
		return Credential{}, false
	}
	return c, true
}

// usable reports whether a credential costs no more to check than any that is made.
func (c *Credential) usable() bool { return c.Iterations >= 1 && c.Iterations <= MaxIterations }
