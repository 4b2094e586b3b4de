package sim

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
	"varve/auth/token"
)

// maxReauth is how long a session lasts: sasl.max_reauth of the agents.
const maxReauth = 3 * time.Second

// password is what somebody knows. Hashing it, which SCRAM leaves to clients, is done already, or
// rather never: what a person knows here is the hash, made by chance. The salt is no other's, and tells
// passwords apart.
type password struct {
	salt, salted string
	token        string // its id, if it is the password of a delegation token: then the agent makes the salt
	hmac         []byte
}

func newPassword(name string, r *rand.Rand) password {
	salted := make([]byte, sha256.Size)
	for i := range salted {
		salted[i] = byte(r.Uint32())
	}
	return password{salt: name, salted: string(salted)}
}

// person is a client that logs in as a user.
type person struct {
	w    *world
	name string
	as   string  // the user: not the name of who logs in by a token
	c    *client // for its place in the network, and its randomness

	mu        sync.Mutex
	passwords []password        // all that were ever set, or tried to be; the last is the newest
	salted    map[string]string // those of delegation tokens, by salt
}

func newPerson(w *world, name string, n int) *person {
	p := &person{w: w, name: name, as: name, c: newClient(w, n), salted: map[string]string{}}
	p.passwords = []password{newPassword(name+"-0", p.c.random)}
	return p
}

func (p *person) principal() string { return "User:" + p.as }

// draw returns a random number below n.
func (p *person) draw(n int) int {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return p.c.random.IntN(n)
}

// change has the person use another password from now on.
func (p *person) change() password {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	pw := newPassword(fmt.Sprintf("%s-%d", p.name, len(p.passwords)), p.c.random)
	p.passwords = append(p.passwords, pw)
	return pw
}

// take has the person use a delegation token from now on.
func (p *person) take(pw password) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passwords = append(p.passwords, pw)
	p.passwords = p.passwords[max(0, len(p.passwords)-3):]
}

// newest returns the password that was set last; former any one.
func (p *person) newest() password {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passwords[len(p.passwords)-1]
}

func (p *person) former() password {
	n := p.draw(1 << 20)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passwords[n%len(p.passwords)]
}

// password returns one to log in by: mostly the newest. A job has none before its first token.
func (p *person) password() (pw password, known bool) {
	p.mu.Lock()
	n := len(p.passwords)
	p.mu.Unlock()
	switch {
	case n == 0:
		return pw, false
	case p.draw(8) == 0:
		return p.former(), true
	}
	return p.newest(), true
}

// session is a connection to an agent that has logged in.
type session struct {
	p     *person
	k     *kconn
	life  *life
	until time.Time // when it is over, as the agent said
}

// errLogin: the agent said that the password is wrong.
var errLogin = errors.New("the login failed")

// open connects to an agent, and logs in.
func (p *person) open(ctx context.Context, h *host, pw password) (*session, error) {
	l := h.now()
	dialing, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	nc, err := p.w.net.dial(dialing, p.c.at, &p.c.g, fmt.Sprintf("%v:9093", h.at))
	if err != nil {
		return nil, err
	}
	if l == nil || h.now() != l {
		nc.Close()
		return nil, errors.New("the agent was started again")
	}
	s := &session{p: p, life: l, k: &kconn{nc: nc, waiting: map[int32]*call{}}}
	p.w.running.Go(s.k.read)
	if err := s.login(ctx, pw); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) close() { s.k.fail(errors.New("closed")) }

// ask sends a request, and holds against the session's end that it is answered.
func (s *session) ask(ctx context.Context, req kmsg.Request) (resp kmsg.Response, asked time.Time, err error) {
	asked = time.Now()
	patience := requestTimeout
	if s.p.as == administrator {
		patience += 2 * time.Second // to hear also that etcd is away
	}
	resp, err = s.k.send(req).waitFor(ctx, patience)
	if err != nil {
		s.k.fail(err)
		return nil, asked, err
	}
	if asked.After(s.until) && req.Key() != int16(kmsg.SASLHandshake) && req.Key() != int16(kmsg.SASLAuthenticate) {
		s.p.w.guard.ended(s, req, asked)
	}
	return resp, asked, nil
}

// login logs in by SCRAM, or does so again.
func (s *session) login(ctx context.Context, pw password) error {
	shake := kmsg.NewPtrSASLHandshakeRequest()
	shake.Version, shake.Mechanism = 1, sasl.ScramSHA256
	resp, _, err := s.ask(ctx, shake)
	if err != nil {
		return err
	}
	if code := resp.(*kmsg.SASLHandshakeResponse).ErrorCode; code != 0 {
		return kerr.ErrorForCode(code)
	}
	nonce := fmt.Sprint(s.p.draw(1 << 30))
	bare := "n=" + s.p.as + ",r=" + nonce
	if pw.token != "" {
		bare = "n=" + pw.token + ",r=" + nonce + ",tokenauth=true"
	}
	first, asked, err := s.authenticate(ctx, "n,,"+bare)
	heard := time.Now()
	if err != nil {
		return err
	}
	text := string(first.SASLAuthBytes)
	theirs, _, _ := strings.Cut(strings.TrimPrefix(text, "r="), ",")
	final := "c=" + base64.StdEncoding.EncodeToString([]byte("n,,")) + ",r=" + theirs
	if pw.token != "" {
		if pw.salted, err = s.p.saltedBy(pw, text); err != nil {
			return err
		}
	}
	proof, verifier := prove(pw, bare+","+text+","+final)
	last, proved, err := s.authenticate(ctx, final+",p="+proof)
	if err != nil && !errors.Is(err, errLogin) {
		return err
	}
	end := s.p.w.guard.loggedIn(s, pw, asked, heard, proved, err == nil)
	if err != nil {
		return err
	}
	if got := string(last.SASLAuthBytes); got != "v="+verifier {
		s.p.w.fail("security: %s logs in at %v, which doesn't prove that it knows the password: %q", s.p.name, s.life.h, got)
	}
	if last.SessionLifetimeMillis <= 0 {
		s.p.w.fail("security: %s logs in at %v for ever, max_reauth is %v", s.p.name, s.life.h, maxReauth)
	}
	s.until = time.Now().Add(time.Duration(last.SessionLifetimeMillis) * time.Millisecond)
	if pw.token != "" && s.until.After(end) {
		s.until = end
	}
	return nil
}

// saltedBy hashes the HMAC of a delegation token as the agent's first message wants it.
func (p *person) saltedBy(pw password, message string) (string, error) {
	fields := strings.Split(message, ",")
	if len(fields) != 3 {
		return "", fmt.Errorf("the first message of an agent is %q", message)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.salted[fields[1]]; ok {
		return known, nil
	}
	salt, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fields[1], "s="))
	if err != nil {
		return "", err
	}
	salted, err := sasl.Salted(sasl.ScramSHA256, token.Password(pw.hmac), salt, sasl.MinIterations)
	p.salted[fields[1]] = string(salted)
	return string(salted), err
}

func (s *session) authenticate(ctx context.Context, message string) (*kmsg.SASLAuthenticateResponse, time.Time, error) {
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.Version, req.SASLAuthBytes = 1, []byte(message)
	resp, asked, err := s.ask(ctx, req)
	if err != nil {
		return nil, asked, err
	}
	r := resp.(*kmsg.SASLAuthenticateResponse)
	switch r.ErrorCode {
	case 0:
		return r, asked, nil
	case kerr.SaslAuthenticationFailed.Code:
		return r, asked, errLogin
	}
	return r, asked, kerr.ErrorForCode(r.ErrorCode)
}

// prove returns the proof that a client knows a password, and the one that the agent must show.
func prove(pw password, messages string) (proof, verifier string) {
	sum := func(key, text string) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	client := sum(pw.salted, "Client Key")
	stored := sha256.Sum256(client)
	for i, b := range sum(string(stored[:]), messages) {
		client[i] ^= b
	}
	server := sum(string(sum(pw.salted, "Server Key")), messages)
	return base64.StdEncoding.EncodeToString(client), base64.StdEncoding.EncodeToString(server)
}
