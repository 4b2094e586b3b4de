package sim

import (
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
)

// guard is the checker of who is let in: it holds each decision of an agent against what was
// true from the oldest moment on that the agent may go by, until its answer came.
type guard struct {
	w *world

	mu      sync.Mutex
	written map[string]*attempt // by value
	at      map[int64]string    // in the guarded partition
	end     int64

	allowed, denied, logins, refused, cut int
}

// attempt is a record that somebody sent to the guarded topic.
type attempt struct {
	s       *session
	value   string
	asked   time.Time
	heard   time.Time // zero: never
	refused bool
	acked   bool
	seen    bool
}

func newGuard(w *world) *guard {
	return &guard{w: w, written: map[string]*attempt{}, at: map[int64]string{}}
}

func (g *guard) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprintf("%d times allowed, %d denied, %d logins, %d refused, %d sessions over", g.allowed, g.denied, g.logins, g.refused, g.cut)
}

// loggedIn: an agent has decided by what password somebody must prove to be who it is, at some moment
// between asked and heard, and whether that is proved between proved and now. It returns when a session
// by a delegation token is over at the latest.
func (g *guard) loggedIn(s *session, pw password, asked, heard, proved time.Time, in bool) (end time.Time) {
	from := s.life.reach.oldest(asked)
	now := time.Now()
	until := heard
	if !in {
		until = now // a user that is deleted or changed meanwhile is refused at the end of a login, too
	}
	ever, always := g.w.book.between(from, until, func(v version) bool {
		if pw.token == "" {
			return v.users[s.p.as] == pw.salt
		}
		t, there := v.tokens[pw.token]
		if there && t.Expires.After(end) {
			end = t.Expires
		}
		if in {
			return there && t.Expires.After(proved)
		}
		return there && t.Expires.After(now)
	})
	g.mu.Lock()
	if in {
		g.logins++
	} else {
		g.refused++
	}
	g.mu.Unlock()
	g.w.log.add("%s logs in at %v by %s: %v", s.p.name, s.life.h, pw.salt, in)
	switch {
	case in && !ever:
		g.w.fail("security: %s logs in at %v by %s, which was not the password at any time from %v before", s.p.name, s.life.h, pw.salt, asked.Sub(from))
	case !in && always:
		g.w.fail("security: %s can't log in at %v by %s, which was the password from %v before", s.p.name, s.life.h, pw.salt, asked.Sub(from))
	}
	return end
}

// over: a connection was ended after its session.
func (g *guard) over() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut++
}

// ended: a request was answered that began after the session was over.
func (g *guard) ended(s *session, req kmsg.Request, asked time.Time) {
	g.w.fail("security: %v answers %s of %s, asked %v after the end of its session", s.life.h, kmsg.NameForKey(req.Key()), s.p.name, asked.Sub(s.until))
}

// decided: an agent has allowed or denied something between asked and now.
func (g *guard) decided(s *session, op acl.Operation, on acl.ResourceType, name string, asked time.Time, allowed bool) {
	q := question{s.p.principal(), s.p.c.at, op, on, name}
	from := s.life.reach.oldest(asked)
	ever, always := g.w.book.between(from, time.Now(), func(v version) bool { return v.allows(q) })
	g.mu.Lock()
	if allowed {
		g.allowed++
	} else {
		g.denied++
	}
	g.mu.Unlock()
	switch {
	case allowed && !ever:
		g.w.fail("security: %v lets %s %v %v %s, which was not allowed at any time from %v before", s.life.h, s.p.name, op, on, name, asked.Sub(from))
	case !allowed && always:
		g.w.fail("security: %v doesn't let %s %v %v %s, which was allowed from %v before", s.life.h, s.p.name, op, on, name, asked.Sub(from))
	}
}

// sending notes a record before it is sent.
func (g *guard) sending(a *attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.written[a.value] = a
}

// sent notes what became of it.
func (g *guard) sent(a *attempt, refused, acked bool, offset int64) {
	g.mu.Lock()
	a.heard, a.refused, a.acked = time.Now(), refused, acked
	g.mu.Unlock()
	if acked {
		g.place(a.value, offset, a.s.p.name+", acknowledged")
	}
}

// place notes that a value is at an offset.
func (g *guard) place(value string, offset int64, who string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end = max(g.end, offset+1)
	if was, ok := g.at[offset]; ok && was != value {
		g.w.fail("promise 2: the guarded partition has two values at offset %d: %.20q, then %.20q (%s)", offset, was, value, who)
	}
	g.at[offset] = value
}

// read notes a record that somebody read, and returns when it was sent.
func (g *guard) read(who *person, offset int64, value string) time.Time {
	g.place(value, offset, who.name)
	g.mu.Lock()
	a := g.written[value]
	first := a != nil && !a.seen
	if first {
		a.seen = true
	}
	g.mu.Unlock()
	if a == nil {
		g.w.fail("security: nobody sent %.30q, which %s reads", value, who.name)
		return time.Time{}
	}
	if first {
		g.judge(a)
	}
	return a.asked
}

// judge looks whether a record that is there may be.
func (g *guard) judge(a *attempt) {
	q := question{a.s.p.principal(), a.s.p.c.at, acl.Write, acl.Topic, guarded}
	g.mu.Lock()
	heard, refused := a.heard, a.refused
	g.mu.Unlock()
	if heard.IsZero() {
		heard = time.Now()
	}
	if ever, _ := g.w.book.between(a.s.life.reach.oldest(a.asked), heard, func(v version) bool { return v.allows(q) }); refused || !ever {
		g.w.fail("security: the record %.30q is there, which %s was not allowed to write (refused: %v)", a.value, a.s.p.name, refused)
	}
}

// last returns the offset after all that was acknowledged or read.
func (g *guard) last() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.end
}

// check looks at the whole of the guarded partition, when all of it was read.
func (g *guard) check() {
	g.mu.Lock()
	defer g.mu.Unlock()
	times := map[string]int{}
	for o := range g.end {
		v, ok := g.at[o]
		if !ok {
			g.w.fail("promise 2: the guarded partition has no offset %d of %d", o, g.end)
		}
		if times[v]++; times[v] > 1 {
			g.w.fail("promise 2: the guarded partition has %.30q twice", v)
		}
	}
	for v, a := range g.written {
		if a.refused && times[v] > 0 {
			g.w.fail("security: the record %.30q is there, although %s was told that it may not write it", v, a.s.p.name)
		}
		if a.acked && times[v] == 0 {
			g.w.fail("promise 1: the acknowledged record %.30q is lost", v)
		}
	}
}
