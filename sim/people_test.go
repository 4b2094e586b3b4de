package sim

import (
	"context"
	"sync"
	"time"

	"varve/auth/acl"
	"varve/auth/sasl"
	"varve/internal/backoff"
	"varve/metadata"
	"varve/metadata/schema"
)

// guarded is the topic that people read and write. Who may do that changes all the time.
const guarded = "guarded"

// administrator is a super user.
const administrator = "root"

// people are the users of a run, and what they do.
type people struct {
	w       *world
	admin   *admin
	alice   *person // may always read and write
	bob     *person // may at times
	carol   *person // may at times, and is deleted at times
	mallory *person // never may; the rules are for other topics
	job     *person // logs in as alice, by delegation tokens
	stop    context.CancelFunc
	working sync.WaitGroup
}

func newPeople(w *world) *people {
	p := &people{w: w, alice: newPerson(w, "alice", 20), bob: newPerson(w, "bob", 21), carol: newPerson(w, "carol", 22), mallory: newPerson(w, "mallory", 23), job: newPerson(w, "job", 25)}
	p.job.as, p.job.passwords = p.alice.name, nil
	p.admin = newAdmin(w, p)
	return p
}

func (p *people) all() []*person { return []*person{p.alice, p.bob, p.carol, p.mallory} }

// rule is a binding for topics and all hosts.
func rule(permission acl.Permission, who string, op acl.Operation, pattern acl.PatternType, topic string) acl.Binding {
	return acl.Binding{Type: acl.Topic, Pattern: pattern, Name: topic, Principal: "User:" + who, Host: "*", Operation: op, Permission: permission}
}

// always are the rules that are never taken away.
func (p *people) always() []acl.Binding {
	const everyone = "ANONYMOUS" // who connects without a password
	return []acl.Binding{
		rule(acl.Allow, everyone, acl.Read, acl.Literal, topicName),
		rule(acl.Allow, everyone, acl.Write, acl.Literal, topicName),
		rule(acl.Allow, everyone, acl.Create, acl.Literal, topicName),
		{Type: acl.Group, Pattern: acl.Prefixed, Name: "g", Principal: "User:" + everyone, Host: "*", Operation: acl.Read, Permission: acl.Allow},
		rule(acl.Allow, "alice", acl.Read, acl.Literal, guarded),
		rule(acl.Allow, "alice", acl.Write, acl.Prefixed, "guard"),
		rule(acl.Allow, "mallory", acl.All, acl.Literal, guarded+"-too"),
		rule(acl.Allow, "mallory", acl.All, acl.Prefixed, guarded+"-"),
		rule(acl.Allow, "mallory", acl.Read, acl.Prefixed, "*"),
	}
}

// sometimes are the rules that come and go.
func (p *people) sometimes() []acl.Binding {
	elsewhere := rule(acl.Deny, "*", acl.Write, acl.Literal, guarded)
	elsewhere.Host = p.bob.c.at.String()
	return []acl.Binding{
		rule(acl.Allow, "bob", acl.Read, acl.Literal, guarded),
		rule(acl.Allow, "bob", acl.Write, acl.Literal, guarded),
		rule(acl.Allow, "bob", acl.All, acl.Prefixed, "guard"),
		rule(acl.Allow, "bob", acl.Read, acl.Literal, "*"),
		rule(acl.Deny, "bob", acl.Read, acl.Prefixed, "gu"),
		rule(acl.Deny, "bob", acl.Write, acl.Literal, guarded),
		rule(acl.Deny, "bob", acl.All, acl.Literal, "*"),
		elsewhere,
		rule(acl.Allow, "carol", acl.Read, acl.Literal, guarded),
		rule(acl.Allow, "carol", acl.Write, acl.Literal, guarded),
		rule(acl.Deny, "carol", acl.Read, acl.Literal, guarded),
	}
}

// begin makes the users, the topic and the rules. The administrator is in etcd before the agents are.
func (p *people) begin(ctx context.Context) {
	made, err := sasl.FromSalted(sasl.ScramSHA256, []byte(p.admin.newest().salt), []byte(p.admin.newest().salted), sasl.MinIterations)
	if err != nil {
		panic(err)
	}
	u := schema.User{Scram: map[schema.ScramMechanism]schema.ScramCredential{schema.ScramSHA256: {Iterations: sasl.MinIterations, Salt: made.Salt, StoredKey: made.StoredKey, ServerKey: made.ServerKey}}}
	ops := []metadata.Op{metadata.Put(schema.UserKey(administrator), u.Encode())}
	m := p.w.meta.Open()
	defer m.Close()
	rev, err := m.Txn(ctx, nil, ops...)
	if err != nil {
		panic(err)
	}
	p.w.book.note(rev, ops)
	for _, x := range p.all() {
		p.admin.setPassword(ctx, x, x.newest())
	}
	p.admin.create(ctx, p.always()...)
	p.admin.createTopic(ctx)
	_ = backoff.Sleep(ctx, bound) // then all agents go by the rules
}

// work lets people read and write until the end of ctx.
func (p *people) work(ctx context.Context) {
	ctx, p.stop = context.WithCancel(ctx)
	for _, x := range p.all() {
		p.working.Go(func() { x.work(ctx) })
	}
	p.working.Go(func() { p.bob.watch(ctx) })
	p.working.Go(func() { p.admin.meddle(ctx) })
	p.working.Go(func() { p.w.upgrade.finalize(ctx, p.admin) })
	p.working.Go(func() { p.tokens(ctx) })
}

// tokens has alice make delegation tokens for a job, which works by them.
func (p *people) tokens(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		if s, err := p.alice.open(ctx, p.w.hosts[p.alice.draw(len(p.w.hosts))], p.alice.newest()); err == nil {
			p.alice.token(ctx, s, p.job)
			s.close()
		}
		if n == 0 {
			p.working.Go(func() { p.job.work(ctx) })
		}
		_ = backoff.Sleep(ctx, time.Duration(1500+p.alice.draw(6000))*time.Millisecond)
	}
}

// close ends all that people do.
func (p *people) close() {
	if p.stop != nil {
		p.stop()
	}
	p.working.Wait()
}

// finish ends all that people do after faults are over, when the last change was acknowledged.
func (p *people) finish(ctx context.Context) {
	p.stop()
	done := make(chan struct{})
	go func() {
		p.working.Wait()
		close(done)
	}()
	p.w.reviving(ctx, func() {
		select {
		case <-done:
		case <-ctx.Done():
		}
	})
}

// check looks, when all is well, whether each agent goes by the rules and the passwords that
// were acknowledged last, and whether all that was acknowledged in the guarded topic is there.
func (p *people) check(ctx context.Context) {
	p.w.reviving(ctx, func() {
		_ = backoff.Sleep(ctx, bound-time.Since(p.admin.last))
		p.admin.acknowledged()
		var all sync.WaitGroup
		for _, h := range p.w.hosts {
			all.Go(func() {
				p.admin.compare(ctx, h)
				for _, x := range p.all() {
					if p.w.book.now().users[x.name] != "" {
						p.enter(ctx, x, h)
					}
				}
			})
		}
		all.Go(func() {
			if p.alice.readAll(ctx) {
				p.w.guard.check()
			}
		})
		all.Wait()
	})
}

// enter logs in at an agent by the newest password, until the agent says whether that is right.
func (p *people) enter(ctx context.Context, x *person, h *host) {
	for ctx.Err() == nil {
		s, err := x.open(ctx, h, x.newest())
		if err == nil {
			s.close()
		}
		if err == nil || err == errLogin {
			return // the guard has looked at it
		}
		_ = backoff.Sleep(ctx, x.c.backoff())
	}
	p.w.fail("security: %s can't find out whether it may log in at %v", x.name, h)
}
