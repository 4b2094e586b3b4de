package sasl

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/xdg-go/scram"

	"varve/internal/chance"
	"varve/internal/workbound"
)

type accounts map[string]map[string]Credential

func (a accounts) lookup(user, mechanism string) (Credential, bool) {
	c, ok := a[user][mechanism]
	return c, ok
}

func newAccounts(t testing.TB, users map[string]string, mechanisms ...string) accounts {
	t.Helper()
	a := accounts{}
	for user, password := range users {
		a[user] = map[string]Credential{}
		for _, m := range mechanisms {
			c, err := NewCredential(m, password, DefaultIterations, nil)
			if err != nil {
				t.Fatal(err)
			}
			a[user][m] = c
		}
	}
	return a
}

func (a accounts) server(secret string) *Server {
	return NewServer(Options{Lookup: a.lookup, Secret: []byte(secret), Hashes: 2})
}

// login is a client that nobody here wrote, against an exchange; it returns the server's messages.
func login(t testing.TB, s *Server, mechanism, user, password, as string) (messages []string, who *Identity, err error) {
	t.Helper()
	e, err := s.Begin(mechanism, "")
	if err != nil {
		t.Fatal(err)
	}
	if mechanism == Plain {
		answer, who, err := e.Step(t.Context(), []byte(as+"\x00"+user+"\x00"+password))
		return []string{string(answer)}, who, err
	}
	c, err := scram.HashGeneratorFcn(hashes[mechanism]).NewClientUnprepped(user, password, as)
	if err != nil {
		t.Fatal(err)
	}
	conversation := c.NewConversation()
	challenge := ""
	for {
		text, err := conversation.Step(challenge)
		if err != nil {
			t.Fatalf("the client: %v", err)
		}
		answer, who, err := e.Step(t.Context(), []byte(text))
		messages = append(messages, string(answer))
		if err != nil {
			return messages, nil, err
		}
		challenge = string(answer)
		if who != nil {
			if _, err := conversation.Step(challenge); err != nil || !conversation.Valid() {
				t.Errorf("the client doesn't believe the server: %v", err)
			}
			return messages, who, nil
		}
	}
}

func TestUsersLogIn(t *testing.T) {
	users := map[string]string{"alice": "secret", "o=k,x": "pass,=word", "ü": "пароль", strings.Repeat("n", 1000): "long"}
	s := newAccounts(t, users, ScramSHA256, ScramSHA512).server("k")
	for _, m := range PasswordMechanisms() {
		for user, password := range users {
			for _, as := range []string{"", user} {
				if _, who, err := login(t, s, m, user, password, as); err != nil || who == nil || who.User != user {
					t.Errorf("%s, %q: %v, %v", m, user, who, err)
				}
			}
			if _, who, err := login(t, s, m, user, password+"x", ""); who != nil || !isFailure(err) {
				t.Errorf("%s, %q with a wrong password: %v, %v", m, user, who, err)
			}
			if _, who, err := login(t, s, m, user, password, "another"); who != nil || !isFailure(err) || !strings.Contains(err.Error(), "different from username") {
				t.Errorf("%s, %q as another: %v, %v", m, user, who, err)
			}
		}
	}
}

func isFailure(err error) bool {
	var f *Failure
	return errors.As(err, &f)
}

// PLAIN takes whichever verifier there is.
func TestPlainNeedsOneVerifier(t *testing.T) {
	for _, m := range []string{ScramSHA256, ScramSHA512} {
		s := newAccounts(t, map[string]string{"u": "p"}, m).server("k")
		if _, who, err := login(t, s, Plain, "u", "p", ""); err != nil || who == nil {
			t.Errorf("%s: %v", m, err)
		}
	}
}

// A stranger's messages are those of a user with a wrong password: the same text, and a salt that
// stays, on every agent, and is the stranger's own.
func TestStrangersLookLikeUsers(t *testing.T) {
	a := newAccounts(t, map[string]string{"alice": "secret"}, ScramSHA256, ScramSHA512)
	one, two, other := a.server("key"), a.server("key"), a.server("other key")
	salt := func(messages []string) string {
		_, rest, _ := strings.Cut(messages[0], ",s=")
		return rest
	}
	for _, m := range []string{ScramSHA256, ScramSHA512} {
		known, _, errKnown := login(t, one, m, "alice", "wrong", "")
		first, _, err := login(t, one, m, "mallory", "wrong", "")
		second, _, _ := login(t, two, m, "mallory", "other", "")
		third, _, _ := login(t, one, m, "nobody", "wrong", "")
		elsewhere, _, _ := login(t, other, m, "mallory", "wrong", "")
		if err == nil || errKnown == nil || err.Error() != errKnown.Error() {
			t.Errorf("%s: %v and %v", m, err, errKnown)
		}
		if len(known) != len(first) || len(known[0]) != len(first[0]) || known[1] != first[1] {
			t.Errorf("%s: %q and %q", m, known, first)
		}
		if salt(first) != salt(second) || salt(first) == salt(third) || salt(first) == salt(elsewhere) {
			t.Errorf("%s: salts %q, %q, %q, %q", m, salt(first), salt(second), salt(third), salt(elsewhere))
		}
	}
	_, _, errKnown := login(t, one, Plain, "alice", "wrong", "")
	if _, _, err := login(t, one, Plain, "mallory", "wrong", ""); err == nil || err.Error() != errKnown.Error() {
		t.Errorf("PLAIN: %v and %v", err, errKnown)
	}
}

// Nothing that a client sends out of order, cut off or made up is let in, or panics.
func TestBadMessagesAreRefused(t *testing.T) {
	s := newAccounts(t, map[string]string{"alice": "secret"}, ScramSHA256, ScramSHA512).server("k")
	first := []string{"", "n", "n,,", "n,,n=alice", "n,,n=,r=abc", "n,,n=alice,r=", "n,,n=alice,r=a b", "n,,n=alice,r=\xff", "n,,n=alice,r=a\x00b", "n,,n=al=ice,r=abc",
		"x,,n=alice,r=abc", "p=tls-unique,,n=alice,r=abc", "p=made-up,,n=alice,r=abc", "n,,m=ext,n=alice,r=abc", "n,b=alice,n=alice,r=abc", "n,a=bob,n=alice,r=abc", "n,a=al=ice,n=alice,r=abc",
		"n,,r=abc,n=alice", strings.Repeat(",", MaxMessage), "n,,n=" + strings.Repeat("a", MaxMessage) + ",r=abc", "c=biws,r=abc,p=AAAA"}
	for _, m := range []string{ScramSHA256, ScramSHA512} {
		for _, text := range first {
			e, _ := s.Begin(m, "")
			if answer, who, err := e.Step(t.Context(), []byte(text)); who != nil || !isFailure(err) || answer != nil {
				t.Errorf("%s, first %.40q: %q, %v, %v", m, text, answer, who, err)
			}
			if _, who, err := e.Step(t.Context(), []byte("n,,n=alice,r=abc")); who != nil || !isFailure(err) {
				t.Errorf("%s: goes on after %.40q: %v", m, text, err)
			}
		}
		finals := []string{"", "c=biws", "c=biws,r=@", "c=biws,r=@,p=", "c=biws,r=@,p=AAAA", "c=biws,r=@,p=!!", "c=eSws,r=@,p=AAAA", "c=biws,r=abc,p=AAAA", "r=@,c=biws,p=AAAA",
			"c=biws,r=@,p=" + strings.Repeat("A", MaxMessage), "\xff\xfe,r=@,p=AAAA", "n,,n=alice,r=abc"}
		for _, text := range finals {
			e, _ := s.Begin(m, "")
			answer, _, err := e.Step(t.Context(), []byte("n,,n=alice,r=abc"))
			if err != nil {
				t.Fatal(err)
			}
			nonce, _, _ := strings.Cut(strings.TrimPrefix(string(answer), "r="), ",")
			if answer, who, err := e.Step(t.Context(), []byte(strings.ReplaceAll(text, "@", nonce))); who != nil || !isFailure(err) || answer != nil {
				t.Errorf("%s, final %.40q: %q, %v, %v", m, text, answer, who, err)
			}
		}
	}
	for _, text := range []string{"", "\x00", "\x00\x00", "alice\x00secret", "\x00alice\x00secret\x00", "\x00\x00secret", "\x00alice\x00", "\x00alice\x00\xff", "\x00alice\x00" + strings.Repeat("x", 1<<20)} {
		e, _ := s.Begin(Plain, "")
		if _, who, err := e.Step(t.Context(), []byte(text)); who != nil || !isFailure(err) {
			t.Errorf("PLAIN %.40q: %v, %v", text, who, err)
		}
		if _, who, err := e.Step(t.Context(), []byte("\x00alice\x00secret")); who != nil || !isFailure(err) {
			t.Errorf("PLAIN goes on after %.40q: %v", text, err)
		}
	}
	if _, err := s.Begin("GSSAPI", ""); err == nil {
		t.Error("GSSAPI begins")
	}
}

// librdkafka 2.0.2 repeats its nonce before that of the server, which Kafka lets pass.
func TestNonceMayComeAfterTheClients(t *testing.T) {
	s := newAccounts(t, map[string]string{"alice": "secret"}, ScramSHA256).server("k")
	for nonce, ok := range map[string]bool{"abc@": true, "abcabc@": true, "abc@x": false, "abc": false} {
		e, _ := s.Begin(ScramSHA256, "")
		answer, _, err := e.Step(t.Context(), []byte("n,,n=alice,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		ours, rest, _ := strings.Cut(strings.TrimPrefix(string(answer), "r=abc"), ",s=")
		salt64, _, _ := strings.Cut(rest, ",")
		salt, _ := base64.StdEncoding.DecodeString(salt64)
		salted, err := Salted(ScramSHA256, "secret", salt, DefaultIterations)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := FromSalted(ScramSHA256, salt, salted, DefaultIterations)
		final := "c=biws,r=" + strings.ReplaceAll(nonce, "@", ours)
		proof := digest(sha256.New, c.StoredKey, "n=alice,r=abc,"+string(answer)+","+final)
		subtle.XORBytes(proof, proof, digest(sha256.New, salted, "Client Key"))
		if _, who, err := e.Step(t.Context(), []byte(final+",p="+base64.StdEncoding.EncodeToString(proof))); (who != nil) != ok {
			t.Errorf("nonce %s: %v", nonce, err)
		}
	}
}

// What a client sent in one exchange proves nothing in another.
func TestProofsCannotBeReplayed(t *testing.T) {
	s := newAccounts(t, map[string]string{"alice": "secret"}, ScramSHA256).server("k")
	c, err := scram.SHA256.NewClientUnprepped("alice", "secret", "")
	if err != nil {
		t.Fatal(err)
	}
	conversation := c.WithNonceGenerator(func() string { return "always" }).NewConversation()
	e, _ := s.Begin(ScramSHA256, "")
	first, _ := conversation.Step("")
	answer, _, err := e.Step(t.Context(), []byte(first))
	if err != nil {
		t.Fatal(err)
	}
	final, _ := conversation.Step(string(answer))
	if _, who, err := e.Step(t.Context(), []byte(final)); err != nil || who == nil {
		t.Fatal(err)
	}
	if _, who, _ := e.Step(t.Context(), []byte(final)); who != nil {
		t.Error("a proof counts twice")
	}
	again, _ := s.Begin(ScramSHA256, "")
	if _, _, err := again.Step(t.Context(), []byte(first)); err != nil {
		t.Fatal(err)
	}
	if _, who, _ := again.Step(t.Context(), []byte(final)); who != nil {
		t.Error("a proof was replayed")
	}
}

// A verifier that costs too much to check is as good as none: the user looks like a stranger, and
// one for another mechanism still counts.
func TestCostlyVerifiersAreNotUsed(t *testing.T) {
	for _, n := range []int{-1, 0, MaxIterations + 1, 10 * MaxIterations} {
		a := newAccounts(t, map[string]string{"alice": "secret", "bob": "secret"}, ScramSHA256, ScramSHA512)
		spoilt := func(user, mechanism string) (Credential, bool) {
			c, ok := a.lookup(user, mechanism)
			if user == "alice" || mechanism == ScramSHA256 {
				c.Iterations = n
			}
			return c, ok
		}
		s := NewServer(Options{Lookup: spoilt, Secret: []byte("k")})
		for _, m := range PasswordMechanisms() {
			if _, who, err := login(t, s, m, "alice", "secret", ""); who != nil || !isFailure(err) {
				t.Errorf("%d, %s: %v, %v", n, m, who, err)
			}
			if _, who, err := login(t, s, m, "bob", "secret", ""); (who != nil) != (m != ScramSHA256) {
				t.Errorf("%d, %s, the other mechanism: %v, %v", n, m, who, err)
			}
		}
	}
}

// However many log in by PLAIN, only so many passwords are hashed at a time, and one who
// doesn't wait any longer leaves.
func TestFewPasswordsAreHashedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Options{Lookup: accounts{}.lookup, Hashes: 2})
		for range 2 { // as two logins do
			if err := s.hashing.take(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				e, _ := s.Begin(Plain, "")
				_, _, err := e.Step(ctx, []byte("\x00u\x00p"))
				if !errors.Is(err, context.Canceled) || isFailure(err) {
					t.Errorf("%v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestRandomnessComesFromTheSource(t *testing.T) {
	nonce := func() string {
		s := NewServer(Options{Lookup: accounts{}.lookup, Random: chance.New(rand.NewChaCha8([32]byte{1}))})
		e, _ := s.Begin(ScramSHA512, "")
		answer, _, err := e.Step(t.Context(), []byte("n,,n=alice,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	if one, two := nonce(), nonce(); one != two {
		t.Error("the same seed gives different nonces")
	}
}

func FuzzExchange(f *testing.F) {
	a := newAccounts(f, map[string]string{"alice": "secret"}, ScramSHA256)
	f.Add(uint8(0), []byte("\x00alice\x00wrong"), []byte(""))
	f.Add(uint8(1), []byte("n,,n=alice,r=abc"), []byte("c=biws,r=abc,p=AAAA"))
	f.Add(uint8(1), []byte("n,,n=alice,r=abc,tokenauth=true"), []byte("c=biws,r=abc,p=AAAA"))
	f.Add(uint8(2), []byte("y,a=bob,n=b=3Dob,r=abc,ext=1"), []byte("c=biws,r=abc,x=1,p=AAAA"))
	f.Fuzz(func(t *testing.T, kind uint8, one, two []byte) {
		m := PasswordMechanisms()[int(kind)%3]
		s := a.server("k")
		e, err := s.Begin(m, "")
		if err != nil {
			t.Fatal(err)
		}
		workbound.Check(t, len(one)+len(two)+4096, func() {
			for _, message := range [][]byte{one, two} {
				if _, who, err := e.Step(t.Context(), message); who != nil {
					t.Fatalf("%s: %q and %q are let in", m, one, two)
				} else if err != nil && !isFailure(err) {
					t.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkLogin(b *testing.B) {
	for _, m := range PasswordMechanisms() {
		b.Run(fmt.Sprint(m), func(b *testing.B) {
			s := newAccounts(b, map[string]string{"alice": "secret"}, ScramSHA256, ScramSHA512).server("k")
			for b.Loop() {
				e, _ := s.Begin(m, "")
				message := "n,,n=alice,r=abc"
				if m == Plain {
					message = "\x00alice\x00secret"
				}
				if _, _, err := e.Step(b.Context(), []byte(message)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
