// Package token is what delegation tokens rest on (KIP-48): the secret that makes their HMACs,
// and how long they live, as Kafka computes it.
//
// It promises that no error and no value that is kept shows a secret or an HMAC. It never
// decides who may have a token.
package token

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"time"

	"varve/internal/chance"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// Config is how delegation tokens are made.
type Config struct {
	SecretFile  string        `yaml:"secret_file" doc:"file with the secret that makes delegation tokens (KIP-48), 16 bytes or more, in one line. All agents of a cluster need the same. Others than its owner and group must not be able to read it. Empty: there are no delegation tokens (delegation.token.secret.key)"`
	MaxLifetime time.Duration `yaml:"max_lifetime" doc:"how long a token can be used at most, however often it is renewed (delegation.token.max.lifetime.ms)"`
	Expiry      time.Duration `yaml:"expiry" doc:"how long a token can be used before it must be renewed (delegation.token.expiry.time.ms)"`
}

// DefaultConfig is Kafka's.
func DefaultConfig() Config {
	return Config{MaxLifetime: 7 * 24 * time.Hour, Expiry: 24 * time.Hour}
}

// minSecret is the least size of the secret, in bytes.
const minSecret = 16

// Validate returns all that doesn't fit.
func (c *Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"max_lifetime", c.MaxLifetime}, {"expiry", c.Expiry}} {
		if d.value < time.Second {
			errs = append(errs, fmt.Errorf("%s is %v: must be at least 1s", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}

// Issuer makes HMACs and times of tokens.
type Issuer struct {
	secret []byte
	id     SecretID
	cfg    Config
}

// Open reads the secret. It returns nil if there is none.
func Open(cfg Config, fs vfs.FS) (*Issuer, error) {
	if cfg.SecretFile == "" {
		return nil, nil
	}
	text, err := tlsfile.ReadSecret(fs, cfg.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	secret := []byte(text)
	if bytes.ContainsAny(secret, "\r\n") {
		return nil, fmt.Errorf("secret_file: %s: the secret must be one line", cfg.SecretFile)
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("secret_file: %s: the secret has %d bytes: must be %d or more", cfg.SecretFile, len(secret), minSecret)
	}
	return NewIssuer(secret, cfg), nil
}

// NewIssuer makes an issuer that has a secret.
func NewIssuer(secret []byte, cfg Config) *Issuer {
	i := &Issuer{secret: secret, cfg: cfg}
	copy(i.id[:], i.HMAC("which secret is it?")) // no token's id has spaces
	return i
}

// SecretID tells secrets apart, and doesn't show them.
type SecretID [8]byte

// SecretID returns that of the issuer's secret. A token of another one can't be used.
func (i *Issuer) SecretID() SecretID { return i.id }

// HMAC returns a token's HMAC, which proves that a client has it: HMAC-SHA-512 of the id with the
// secret.
func (i *Issuer) HMAC(id string) []byte {
	mac := hmac.New(sha512.New, i.secret)
	mac.Write([]byte(id))
	return mac.Sum(nil)
}

// Password returns the password that a token's HMAC is for SCRAM.
func Password(hmac []byte) string { return base64.StdEncoding.EncodeToString(hmac) }

// Proof is what is kept of an HMAC to find its token: its SHA-256. The HMAC, which is as good as
// random, can't be computed from it.
type Proof [sha256.Size]byte

// ProofOf returns an HMAC's.
func ProofOf(hmac []byte) Proof { return sha256.Sum256(hmac) }

// NewID makes a token's id, in the form of Kafka's: 22 characters of base64url, of which the
// first isn't a dash.
func NewID(random *chance.Source) string {
	for {
		var b [16]byte
		_, _ = random.Read(b[:]) // never fails
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// Times are those of a token, to the millisecond. It can be used until Expires, which is never
// after Max.
type Times struct{ Issued, Expires, Max time.Time }

// Begin returns the times of a token that is made now. The client may ask for a life of at most
// life ms; 0 or less is the settings'.
func (i *Issuer) Begin(now time.Time, life int64) Times {
	t := Times{Issued: milli(now)}
	t.Max = after(now, shorter(i.cfg.MaxLifetime, life))
	t.Expires = earlier(t.Max, after(now, i.cfg.Expiry.Milliseconds()))
	return t
}

// Renew returns the times of a token that is renewed now for period ms; 0 or less is the
// settings'.
func (i *Issuer) Renew(t Times, now time.Time, period int64) Times {
	t.Expires = earlier(t.Max, after(now, shorter(i.cfg.Expiry, period)))
	return t
}

// Expire returns the times of a token that shall expire in period ms.
func (t Times) Expire(now time.Time, period int64) Times {
	t.Expires = earlier(t.Max, after(now, period))
	return t
}

// Over reports whether a token can't be used any more.
func (t Times) Over(now time.Time) bool {
	return t.Max.Before(milli(now)) || t.Expires.Before(milli(now))
}

func milli(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }

// shorter returns a duration in ms, or what a client asked for if that is less.
func shorter(most time.Duration, asked int64) int64 {
	if asked > 0 {
		return min(asked, most.Milliseconds())
	}
	return most.Milliseconds()
}

// after returns the time in ms from now on; the last that there is instead of a later one.
func after(now time.Time, ms int64) time.Time {
	at := now.UnixMilli()
	if ms > math.MaxInt64-at {
		return time.UnixMilli(math.MaxInt64)
	}
	return time.UnixMilli(at + ms)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
