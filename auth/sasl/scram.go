package sasl

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// scramExchange is SCRAM (RFC 5802), without channel binding:
//
//	client: n,[a=authzid],n=user,r=nonce[,extensions]
//	server: r=nonce+more,s=salt,i=iterations
//	client: c=base64 of "n,[a=authzid],",r=nonce+more[,extensions],p=proof
//	server: v=verifier
//
// With the extension tokenauth=true the user is the id of a delegation token, the password its HMAC
// in base64 (KIP-48), and who logs in is the token's owner. Others are ignored, as by Kafka.
//
// No message has the password. It is written here because the libraries compare nonces as a
// whole: some versions of librdkafka (2.0.2, which is in Debian 12) repeat their own before the server's in the last message, and Kafka
// asks only that the message ends with the server's part. The proof covers all of it.
type scramExchange struct {
	server    *Server
	mechanism string

	user       string // or the id of a token
	byToken    bool
	owner      string    // of the token
	expires    time.Time // of the token
	credential Credential
	header     string // of the first message, which the last one repeats
	nonce      string // the server's part
	messages   string // those that the proof is about, but for the client's last
	step       int
}

var errScram = errors.New("the message is malformed")

// Claimed returns whom the client says it is.
func (e *scramExchange) Claimed() string { return e.user }

// Step takes the client's next message.
func (e *scramExchange) Step(_ context.Context, message []byte) ([]byte, *Identity, error) {
	step := e.step
	e.step = 2 // over, unless it goes on
	if len(message) > MaxMessage {
		return nil, nil, failed("", "a message of %d bytes", len(message))
	}
	if !utf8.Valid(message) || bytes.IndexByte(message, 0) >= 0 {
		return nil, nil, failed("", "the message is not text")
	}
	switch step {
	case 0:
		answer, err := e.first(string(message))
		if err == nil {
			e.step = 1
		}
		return answer, nil, err
	case 1:
		answer, err := e.final(string(message))
		if err != nil {
			return nil, nil, err
		}
		return answer, e.identity(), nil
	}
	return nil, nil, failed("", "a message after the last")
}

// first answers the client's first message.
func (e *scramExchange) first(message string) ([]byte, error) {
	flag, rest, _ := strings.Cut(message, ",")
	as, bare, ok := strings.Cut(rest, ",")
	if flag != "n" && flag != "y" {
		return nil, failed("", "channel binding %.20q is not known", flag)
	}
	fields := strings.SplitN(bare, ",", 3) // user, nonce, extensions
	if !ok || len(fields) < 2 {
		return nil, failed("", "the first message: %w", errScram)
	}
	user, errUser := saslName(fields[0], "n=")
	nonce, named := strings.CutPrefix(fields[1], "r=")
	if errUser != nil || user == "" || !named || nonce == "" || strings.ContainsFunc(nonce, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return nil, failed("", "the first message: %w", errScram)
	}
	e.user = user
	if as != "" {
		switch other, err := saslName(as, "a="); {
		case err != nil:
			return nil, failed("", "the first message: %w", err)
		case other != user:
			return nil, said(otherIdentity)
		}
	}
	var random [18]byte
	_, _ = e.server.o.Random.Read(random[:]) // never fails
	e.nonce = base64.StdEncoding.EncodeToString(random[:])
	e.header = flag + "," + as + ","
	e.byToken = len(fields) == 3 && wantsToken(fields[2])
	e.credential = e.current()
	answer := fmt.Sprintf("r=%s%s,s=%s,i=%d", nonce, e.nonce, base64.StdEncoding.EncodeToString(e.credential.Salt), e.credential.Iterations)
	e.messages = bare + "," + answer
	return []byte(answer), nil
}

// current returns the credential that the user or the token has now, and notes what else is known of
// the token.
func (e *scramExchange) current() Credential {
	if !e.byToken {
		return e.server.credential(e.user, e.mechanism)
	}
	t := e.server.token(e.user, e.mechanism)
	e.owner, e.expires = t.Owner, t.Expires
	return t.Credential
}

// final checks the proof. The credential must still be that of the first message: a user or a
// token may have been deleted since, a password changed.
func (e *scramExchange) final(message string) ([]byte, error) {
	at := strings.LastIndex(message, ",p=")
	if at < 0 {
		return nil, failed("", "the last message: %w", errScram)
	}
	fields := strings.SplitN(message[:at], ",", 3) // channel binding, nonce, extensions
	if len(fields) < 2 {
		return nil, failed("", "the last message: %w", errScram)
	}
	channel, errChannel := field64(fields[0], "c=")
	nonce, named := strings.CutPrefix(fields[1], "r=")
	proof, errProof := field64(message[at+1:], "p=")
	switch {
	case errChannel != nil || errProof != nil || !named:
		return nil, failed("", "the last message: %w", errScram)
	case string(channel) != e.header:
		return nil, failed("", "the last message is of another channel")
	case !strings.HasSuffix(nonce, e.nonce):
		return nil, failed("", "the last message has another nonce")
	}
	h := hashes[e.mechanism]
	text := e.messages + "," + message[:at]
	client := digest(h, e.credential.StoredKey, text) // the signature, from here on
	if len(proof) != len(client) {
		return nil, failed("", "the last message: %w", errScram)
	}
	subtle.XORBytes(client, client, proof) // the client's key, if it knows the password
	sum := h()
	sum.Write(client)
	if !hmac.Equal(sum.Sum(nil), e.credential.StoredKey) {
		return nil, failed("", "the proof is invalid")
	}
	if now := e.current(); !hmac.Equal(now.StoredKey, e.credential.StoredKey) {
		return nil, failed("", "the user, the password or the token was deleted or changed during the login")
	}
	verifier := digest(h, e.credential.ServerKey, text)
	return []byte("v=" + base64.StdEncoding.EncodeToString(verifier)), nil
}

// identity returns who has proved it.
func (e *scramExchange) identity() *Identity {
	if e.byToken {
		return &Identity{User: e.owner, Expires: e.expires, Token: e.user}
	}
	return &Identity{User: e.user}
}

// wantsToken reports whether a client's extensions say that it logs in by a token. As by Kafka, the
// last of several counts, and the case of its value doesn't.
func wantsToken(extensions string) (yes bool) {
	for part := range strings.SplitSeq(extensions, ",") {
		if value, ok := strings.CutPrefix(part, "tokenauth="); ok {
			yes = strings.EqualFold(value, "true")
		}
	}
	return yes
}

// saslName returns the name in a field, in which =2C stands for a comma and =3D for =.
func saslName(field, key string) (string, error) {
	name, ok := strings.CutPrefix(field, key)
	if !ok || strings.Count(name, "=") != strings.Count(name, "=2C")+strings.Count(name, "=3D") {
		return "", errScram
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name), nil
}

// field64 returns the bytes in a field.
func field64(field, key string) ([]byte, error) {
	text, ok := strings.CutPrefix(field, key)
	if !ok {
		return nil, errScram
	}
	return base64.StdEncoding.DecodeString(text)
}
