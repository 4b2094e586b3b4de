package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"varve/internal/vfs"
	"varve/internal/workbound"
)

// signers has a private key for each kind that is accepted, and some that aren't.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	rsaKey := func(bits int) crypto.Signer { k, err := rsa.GenerateKey(rand.Reader, bits); return must(k, err) }
	ecKey := func(c elliptic.Curve) crypto.Signer { k, err := ecdsa.GenerateKey(c, rand.Reader); return must(k, err) }
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"rsa": rsaKey(2048), "rsa2": rsaKey(2048), "p256": ecKey(elliptic.P256()), "p384": ecKey(elliptic.P384()), "p521": ecKey(elliptic.P521()), "ed": must(ed, err),
		"other": ecKey(elliptic.P256()),
	}
})

// jwks writes a JWKS of keys by their names, which are their ids.
func jwks(names ...string) string {
	var set jose.JSONWebKeySet
	for _, n := range names {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: signers()[n].Public(), KeyID: n})
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// sign makes a token. key is a name of signers or a secret for HMAC.
func sign(t testing.TB, key any, algorithm jose.SignatureAlgorithm, kid string, all claims) string {
	t.Helper()
	if name, ok := key.(string); ok {
		key = signers()[name]
	}
	o := new(jose.SignerOptions)
	if kid != "" {
		o = o.WithHeader("kid", kid)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// now is when all tests are.
var now = time.Unix(1_800_000_000, 0)

// at returns a claim that is a time from now.
func at(d time.Duration) float64 { return float64(now.Add(d).UnixMilli()) / 1000 }

// good returns the claims of a good token, with some changed; nil takes one away.
func good(changes claims) claims {
	c := claims{"sub": "alice", "iss": "https://idp", "aud": "varve", "exp": at(time.Hour), "iat": at(0), "nbf": at(0)}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func config() Config {
	c := DefaultConfig()
	c.JWKSFile, c.Issuer, c.Audience = "/keys.json", "https://idp", "varve"
	return c
}

// validator makes one with the keys of a file.
func validator(t testing.TB, cfg Config, set string) *Validator {
	t.Helper()
	v, err := Open(cfg, Deps{FS: keyFile(t, set), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	close(v.keys.mu.next) // no read will follow, and no caller waits for one
	return v
}

// keyFile makes a file system with the file /keys.json.
func keyFile(t testing.TB, set string) vfs.FS {
	t.Helper()
	fs := vfs.NewMemory()
	if err := vfs.WriteFile(fs, "/", "keys.json", []byte(set)); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestEveryAlgorithmIsVerified(t *testing.T) {
	v := validator(t, config(), jwks("rsa", "p256", "p384", "p521", "ed"))
	keys := map[jose.SignatureAlgorithm]string{jose.ES256: "p256", jose.ES384: "p384", jose.ES512: "p521", jose.EdDSA: "ed"}
	for _, a := range algorithms {
		key := keys[a]
		if key == "" {
			key = "rsa"
		}
		for _, kid := range []string{key, ""} {
			token := sign(t, key, a, kid, good(nil))
			if got, err := v.Verify(t.Context(), token); err != nil || got.Principal != "alice" || !got.Expires.Equal(now.Add(time.Hour)) {
				t.Errorf("%s with kid %q: %+v, %v", a, kid, got, err)
			}
			payload := strings.Split(token, ".")
			forged := payload[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin","iss":"https://idp","aud":"varve","exp":1900000000}`)) + "." + payload[2]
			if got, err := v.Verify(t.Context(), forged); err == nil {
				t.Errorf("%s with kid %q: other claims with the same signature are let in: %+v", a, kid, got)
			}
		}
	}
}

// unsigned makes a token with any header, without a signature or with a given one.
func unsigned(header string, c claims, signature string) string {
	b, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(b) + "." + signature
}

// Whoever hasn't one of the keys isn't let in, whatever the header says, and no error quotes the token.
func TestForgedTokensAreRefused(t *testing.T) {
	v := validator(t, config(), jwks("rsa", "p256"))
	public, err := json.Marshal(jose.JSONWebKey{Key: signers()["rsa"].Public(), KeyID: "rsa"})
	if err != nil {
		t.Fatal(err)
	}
	own, err := json.Marshal(jose.JSONWebKey{Key: signers()["other"].Public(), KeyID: "p256"})
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte(strings.Repeat("public key as secret", 4))
	right := sign(t, "rsa", jose.RS256, "rsa", good(nil))
	parts := strings.Split(right, ".")
	for name, x := range map[string]struct{ token, want string }{
		"none":                   {unsigned(`{"alg":"none"}`, good(nil), ""), "algorithm none is not accepted"},
		"None":                   {unsigned(`{"alg":"None","kid":"rsa"}`, good(nil), ""), "algorithm None is not accepted"},
		"none with a signature":  {unsigned(`{"alg":"none","kid":"rsa"}`, good(nil), parts[2]), "algorithm none is not accepted"},
		"no algorithm":           {unsigned(`{"kid":"rsa"}`, good(nil), parts[2]), ""},
		"no signature":           {unsigned(`{"alg":"RS256","kid":"rsa"}`, good(nil), ""), ""},
		"HMAC":                   {sign(t, secret, jose.HS256, "rsa", good(nil)), "algorithm HS256 is not accepted"},
		"HMAC with the key":      {sign(t, public, jose.HS512, "rsa", good(nil)), "algorithm HS512 is not accepted"},
		"another key":            {sign(t, "other", jose.ES256, "p256", good(nil)), "not by the key that the token names"},
		"another key, no id":     {sign(t, "other", jose.ES256, "", good(nil)), "names no key"},
		"unknown key":            {sign(t, "other", jose.ES256, "other", good(nil)), "no key other"},
		"another kind of key":    {sign(t, "other", jose.ES256, "rsa", good(nil)), "no key rsa for its algorithm"},
		"its own key":            {unsigned(`{"alg":"ES256","kid":"p256","jwk":`+string(own)+`}`, good(nil), strings.Split(sign(t, "other", jose.ES256, "", good(nil)), ".")[2]), ""},
		"critical header":        {unsigned(`{"alg":"RS256","kid":"rsa","crit":["x"],"x":1}`, good(nil), parts[2]), ""},
		"two parts":              {parts[0] + "." + parts[1], "no signed JWT"},
		"four parts":             {right + "." + parts[2], "no signed JWT"},
		"encrypted":              {right + "." + right, "no signed JWT"},
		"nothing":                {"", "no signed JWT"},
		"dots":                   {strings.Repeat(".", maxToken), "no signed JWT"},
		"too long":               {strings.Repeat("a", maxToken+1), "more than 16384"},
		"a long key id":          {unsigned(`{"alg":"RS256","kid":"`+strings.Repeat("k", 5000)+`"}`, good(nil), parts[2]), "no such key"},
		"JSON":                   {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "no signed JWT"},
		"claims that are a list": {unsigned(string(decode(t, parts[0])), nil, parts[2]), ""},
	} {
		got, err := v.Verify(t.Context(), x.token)
		if err == nil || got != (Token{}) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		for _, part := range strings.Split(x.token, ".") {
			if len(part) > 20 && strings.Contains(err.Error(), part[:20]) || len(err.Error()) > 300 {
				t.Errorf("%s: the error has a part of the token: %v", name, err)
			}
		}
	}
	if _, err := v.Verify(t.Context(), right); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

func decode(t testing.TB, part string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A token that is signed counts only with the claims that are asked for, and while it is good.
func TestClaims(t *testing.T) {
	for name, x := range map[string]struct {
		change   claims
		settings func(*Config)
		want     string // of the error; "" is none
		who      string
		expires  time.Duration
	}{
		"good":                       {who: "alice", expires: time.Hour},
		"audience in a list":         {change: claims{"aud": []string{"x", "varve"}}, who: "alice", expires: time.Hour},
		"no times but the end":       {change: claims{"nbf": nil, "iat": nil}, who: "alice", expires: time.Hour},
		"fraction of a second":       {change: claims{"exp": at(1500 * time.Millisecond * 10)}, who: "alice", expires: 15 * time.Second},
		"expired within skew":        {change: claims{"exp": at(-10 * time.Second)}, who: "alice", expires: 2 * time.Second},
		"expired just within skew":   {change: claims{"exp": at(-29 * time.Second)}, who: "alice", expires: time.Second},
		"begins within skew":         {change: claims{"nbf": at(30 * time.Second), "iat": at(30 * time.Second)}, who: "alice", expires: time.Hour},
		"expired":                    {change: claims{"exp": at(-30 * time.Second)}, want: "expired 30s ago", who: "alice"},
		"expired without skew":       {change: claims{"exp": at(0)}, settings: func(c *Config) { c.ClockSkew = 0 }, want: "expired", who: "alice"},
		"no end":                     {change: claims{"exp": nil}, want: "no end", who: "alice"},
		"an end that is text":        {change: claims{"exp": "1900000000"}, want: "claim exp is no time", who: "alice"},
		"an end that is huge":        {change: claims{"exp": 1e300}, want: "claim exp is no time", who: "alice"},
		"an end that is negative":    {change: claims{"exp": -1}, want: "claim exp is no time", who: "alice"},
		"future":                     {change: claims{"nbf": at(31 * time.Second)}, want: "claim nbf", who: "alice"},
		"issued in the future":       {change: claims{"iat": at(time.Hour)}, want: "claim iat", who: "alice"},
		"a beginning that is a list": {change: claims{"nbf": []int{1}}, want: "claim nbf is no time", who: "alice"},
		"another issuer":             {change: claims{"iss": "https://idp/"}, want: `not "https://idp"`, who: "alice"},
		"no issuer":                  {change: claims{"iss": nil}, want: "issuer", who: "alice"},
		"another audience":           {change: claims{"aud": "other"}, want: "audience", who: "alice"},
		"no audience":                {change: claims{"aud": nil}, want: "audience", who: "alice"},
		"audience in a map":          {change: claims{"aud": map[string]string{"varve": "varve"}}, want: "audience", who: "alice"},
		"no subject":                 {change: claims{"sub": nil}, want: "claim sub is no name"},
		"empty subject":              {change: claims{"sub": ""}, want: "claim sub is no name"},
		"subject with spaces":        {change: claims{"sub": " admin"}, want: "claim sub is no name"},
		"a number as subject":        {change: claims{"sub": 1}, want: "claim sub is no name"},
		"another claim":              {change: claims{"client_id": "batch"}, settings: func(c *Config) { c.PrincipalClaim = "client_id" }, who: "batch", expires: time.Hour},
		"a scope":                    {change: claims{"scope": "read write"}, settings: require("scope=write"), who: "alice", expires: time.Hour},
		"a scope in a list":          {change: claims{"scope": []string{"read", "write"}}, settings: require("scope=write"), who: "alice", expires: time.Hour},
		"half a scope":               {change: claims{"scope": "read writes"}, settings: require("scope=write"), want: "scope=write", who: "alice"},
		"text isn't split elsewhere": {change: claims{"groups": "a b"}, settings: require("groups=a"), want: "groups=a", who: "alice"},
		"a claim that is there":      {change: claims{"email_verified": true}, settings: require("email_verified", "email_verified=true"), who: "alice", expires: time.Hour},
		"a claim that isn't":         {settings: require("email_verified"), want: "email_verified", who: "alice"},
		"one of two":                 {change: claims{"a": "1"}, settings: require("a=1", "b=2"), want: "b=2", who: "alice"},
		"case of names":              {change: claims{"sub": nil, "Sub": "alice"}, want: "claim sub is no name"},
	} {
		cfg := config()
		if x.settings != nil {
			x.settings(&cfg)
		}
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		v := validator(t, cfg, jwks("p256"))
		got, err := v.Verify(t.Context(), sign(t, "p256", jose.ES256, "p256", good(x.change)))
		if x.want == "" && (err != nil || got.Expires.Sub(now).Round(time.Millisecond) != x.expires) || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) || got.Principal != x.who {
			t.Errorf("%s: %+v (%v), %v; want %q for %v, %q", name, got, got.Expires.Sub(now), err, x.who, x.expires, x.want)
		}
	}
}

func require(all ...string) func(*Config) {
	return func(c *Config) { c.RequiredClaims = all }
}

// A JWKS counts as far as its keys are of a kind that is accepted, and for signatures.
func TestJWKSIsReadWithCare(t *testing.T) {
	key := func(name, members string) string {
		b, err := json.Marshal(jose.JSONWebKey{Key: signers()[name].Public(), KeyID: name})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(b), "}") + members + "}"
	}
	small := `{"kty":"RSA","kid":"small","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(append([]byte{0x80}, make([]byte, 127)...)) + `"}`
	large := `{"kty":"RSA","kid":"large","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(append([]byte{0x80}, make([]byte, 2047)...)) + `"}`
	offCurve := `{"kty":"EC","crv":"P-256","kid":"off","x":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 32)) + `","y":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 32)) + `"}`
	for name, x := range map[string]struct {
		set  string
		want int // keys; 0 is an error
	}{
		"all kinds":            {jwks("rsa", "p256", "p384", "p521", "ed"), 5},
		"nothing":              {``, 0},
		"no object":            {`[]`, 0},
		"no keys":              {`{}`, 0},
		"empty":                {`{"keys":[]}`, 0},
		"null":                 {`null`, 0},
		"after it":             {jwks("p256") + "x", 0},
		"unknown kinds":        {`{"keys":[{"kty":"AKP","kid":"new"},` + key("p256", "") + `,17,null,{"kty":"oct","k":"c2VjcmV0"}]}`, 1},
		"only secrets":         {`{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}`, 0},
		"encryption":           {`{"keys":[` + key("rsa", `,"use":"enc"`) + `]}`, 0},
		"signatures":           {`{"keys":[` + key("rsa", `,"use":"sig","alg":"RS256"`) + `]}`, 1},
		"another algorithm":    {`{"keys":[` + key("rsa", `,"alg":"RSA-OAEP"`) + `]}`, 0},
		"algorithm of others":  {`{"keys":[` + key("rsa", `,"alg":"ES256"`) + `]}`, 0},
		"too small, too large": {`{"keys":[` + small + `,` + large + `]}`, 0},
		"off the curve":        {`{"keys":[` + offCurve + `]}`, 0},
		"too many":             {`{"keys":[` + strings.Repeat(key("p256", "")+",", maxKeys) + key("p256", "") + `]}`, 0},
		"as many":              {`{"keys":[` + strings.Repeat(key("p256", "")+",", maxKeys-1) + key("p256", "") + `]}`, maxKeys},
		"too long":             {jwks("p256") + strings.Repeat(" ", maxJWKS), 0},
	} {
		s, err := parseJWKS([]byte(x.set))
		if (err == nil) != (x.want > 0) || err == nil && len(s.keys) != x.want {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// A JWKS that holds a private key by mistake lets in the same tokens: only the public half is used.
func TestPrivateKeysAreTakenByTheirPublicHalf(t *testing.T) {
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signers()["p256"], KeyID: "p256"}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseJWKS(b)
	if err != nil || !s.keys[0].IsPublic() {
		t.Errorf("%v", err)
	}
}

// A key's own algorithm is the only one that it is used for.
func TestKeysKeepToTheirAlgorithm(t *testing.T) {
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signers()["rsa"].Public(), KeyID: "rsa", Algorithm: "RS256"}}})
	if err != nil {
		t.Fatal(err)
	}
	v := validator(t, config(), string(b))
	for a, ok := range map[jose.SignatureAlgorithm]bool{jose.RS256: true, jose.RS512: false, jose.PS256: false} {
		if _, err := v.Verify(t.Context(), sign(t, "rsa", a, "rsa", good(nil))); (err == nil) != ok {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// Settings that would accept tokens of others, or none at all, are refused; the error says what to do.
func TestSettings(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":                 {func(*Config) {}, ""},
		"off":                  {func(c *Config) { *c = DefaultConfig() }, ""},
		"URL":                  {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "https://idp/keys" }, ""},
		"here":                 {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "http://127.0.0.1:8080/keys" }, ""},
		"here, by name":        {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "http://localhost/keys" }, ""},
		"here, by IPv6":        {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "http://[::1]/keys" }, ""},
		"in the open":          {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "http://idp/keys" }, "must begin with https"},
		"here, but not":        {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "http://localhost.example/keys" }, "must begin with https"},
		"a file's URL":         {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "file:///keys" }, "no host"},
		"with a password":      {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "https://u:hunter2@idp/keys" }, "user or password"},
		"no URL":               {func(c *Config) { c.JWKSFile, c.JWKSURL = "", "https://idp:hunter2:1/" }, "no URL"},
		"both":                 {func(c *Config) { c.JWKSURL = "https://idp/keys" }, "both set"},
		"no issuer":            {func(c *Config) { c.Issuer = "" }, "issuer is empty"},
		"no audience":          {func(c *Config) { c.Audience = "" }, "audience is empty"},
		"a claim instead":      {func(c *Config) { c.Audience, c.RequiredClaims = "", []string{"client_id=varve"} }, ""},
		"no principal":         {func(c *Config) { c.PrincipalClaim = "" }, "principal_claim is empty"},
		"a claim without name": {func(c *Config) { c.RequiredClaims = []string{"=x"} }, "required_claims"},
		"skew":                 {func(c *Config) { c.ClockSkew = time.Hour }, "clock_skew is 1h"},
		"negative skew":        {func(c *Config) { c.ClockSkew = -1 }, "clock_skew"},
		"refresh":              {func(c *Config) { c.Refresh = time.Second }, "refresh is 1s"},
		"authorities":          {func(c *Config) { c.CAFile = "ca" }, "ca_file"},
		"without keys":         {func(c *Config) { c.JWKSFile = "" }, "neither jwks_url nor jwks_file"},
	} {
		c := config()
		x.change(&c)
		if err := c.Validate(); (err == nil) != (x.want == "") || err != nil && (!strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v; want %q", name, err, x.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	v := validator(f, config(), jwks("rsa", "p256", "ed"))
	f.Add(sign(f, "other", jose.ES256, "p256", good(nil)))
	f.Add(unsigned(`{"alg":"none"}`, good(nil), ""))
	f.Add(unsigned(`{"alg":"RS256","kid":"rsa","crit":["b64"],"b64":false}`, good(nil), "AAAA"))
	f.Add(unsigned(`{"alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"},"x5c":["AAAA"]}`, good(nil), "AAAA"))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		workbound.Check(t, len(token)+4096, func() {
			if got, err := v.Verify(t.Context(), token); err == nil {
				t.Fatalf("%q is let in as %+v", token, got)
			} else if len(token) > 100 && strings.Contains(err.Error(), token) {
				t.Fatalf("the error quotes the token: %v", err)
			}
		})
	})
}

func FuzzJWKS(f *testing.F) {
	f.Add([]byte(jwks("rsa", "p256", "ed")))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"},{"kty":"RSA","n":"AA","e":"AA"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		workbound.Check(t, len(b)+4096, func() {
			s, err := parseJWKS(b)
			if err == nil && (len(s.keys) == 0 || len(s.keys) > maxKeys) {
				t.Fatalf("%d keys", len(s.keys))
			}
		})
	})
}

// FuzzClaims has signed claims of any content: an issuer is trusted, but not to be without mistakes.
func FuzzClaims(f *testing.F) {
	v := validator(f, config(), jwks("p256"))
	for _, c := range []string{`{"sub":"a","exp":1e9,"iss":"https://idp","aud":["varve"]}`, `{"exp":-0.0,"aud":{}}`, `null`, `[]`, `{"sub":"a","sub":"b"}`} {
		f.Add([]byte(c))
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: signers()["p256"]}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		signed, err := s.Sign(payload)
		if err != nil {
			t.Skip()
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Skip()
		}
		got, err := v.Verify(t.Context(), token)
		if err == nil && (got.Principal == "" || !got.Expires.After(now) || got.Expires.IsZero()) {
			t.Fatalf("%s: %+v", payload, got)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	v := validator(b, config(), jwks("rsa", "p256", "p521", "ed"))
	for key, a := range map[string]jose.SignatureAlgorithm{"rsa": jose.RS256, "p256": jose.ES256, "p521": jose.ES512, "ed": jose.EdDSA} {
		token := sign(b, key, a, key, good(nil))
		b.Run(fmt.Sprint(a), func(b *testing.B) {
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A token costs a bounded number of signature checks, however many keys may have signed it.
func TestFewKeysAreTried(t *testing.T) {
	one := strings.TrimSuffix(strings.TrimPrefix(jwks("p256"), `{"keys":[`), `]}`)
	s, err := parseJWKS([]byte(`{"keys":[` + strings.Repeat(one+",", maxKeys-1) + one + `]}`))
	if err != nil || len(s.keys) != maxKeys {
		t.Fatal(err)
	}
	for _, kid := range []string{"", "p256"} {
		if n := len(s.candidates(kid, jose.ES256)); n != maxTry {
			t.Errorf("kid %q: %d keys are tried", kid, n)
		}
	}
}
