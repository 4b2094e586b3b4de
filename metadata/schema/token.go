package schema

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"varve/auth/token"
	"varve/internal/wire"
)

// Token is what is kept of a delegation token. Neither its HMAC nor its password can be computed
// from it.
type Token struct {
	Owner     string // the principal as whom a client logs in
	Requester string // the principal that asked for it
	Renewers  []string
	token.Times
	Secret token.SecretID // of the secret that made it
	Proof  token.Proof    // of its HMAC
	Scram  map[ScramMechanism]ScramCredential
}

// Encode writes the value: times in ms.
func (t Token) Encode() []byte {
	b := wire.AppendString([]byte{1}, t.Owner)
	b = wire.AppendString(b, t.Requester)
	b = binary.AppendUvarint(b, uint64(len(t.Renewers)))
	for _, r := range t.Renewers {
		b = wire.AppendString(b, r)
	}
	for _, at := range []time.Time{t.Issued, t.Expires, t.Max} {
		b = binary.AppendVarint(b, at.UnixMilli())
	}
	b = wire.AppendBytes(b, t.Secret[:])
	b = wire.AppendBytes(b, t.Proof[:])
	return appendScram(b, t.Scram)
}

// DecodeToken reads what Encode writes.
func DecodeToken(b []byte) (t Token, err error) {
	sound := true
	err = decode("token", 1, b, func(r *wire.Reader) {
		t.Owner, t.Requester = r.String(), r.String()
		t.Renewers = make([]string, 0, r.Count(1))
		for range cap(t.Renewers) {
			t.Renewers = append(t.Renewers, r.String())
		}
		for _, at := range []*time.Time{&t.Issued, &t.Expires, &t.Max} {
			*at = time.UnixMilli(r.Varint())
		}
		secret, proof := r.Bytes(), r.Bytes()
		sound = copy(t.Secret[:], secret) == len(secret) && len(secret) == len(t.Secret) && copy(t.Proof[:], proof) == len(proof) && len(proof) == len(t.Proof)
		var ordered bool
		t.Scram, ordered = readScram(r)
		sound = sound && ordered
	})
	if err == nil && !sound {
		err = &ValueError{"token", errors.New("a part has another length or order than it must have")}
	}
	return t, err
}

// MayRenew reports whether a principal may renew the token, or have it expire.
func (t *Token) MayRenew(principal string) bool {
	return t.Owner == principal || slices.Contains(t.Renewers, principal)
}

// SeenByAny reports whether any of some principals may see the token without any right.
func (t *Token) SeenByAny(of map[string]bool) bool {
	return of[t.Owner] || of[t.Requester] || slices.ContainsFunc(t.Renewers, func(r string) bool { return of[r] })
}

// MaySee reports whether a principal may see the token without any right.
func (t *Token) MaySee(principal string) bool {
	return t.MayRenew(principal) || t.Requester == principal
}
