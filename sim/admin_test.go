package sim

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
	"varve/auth/sasl"
	"varve/internal/backoff"
)

// admin is the administrator: it changes rules and passwords, one after the other, and asks again
// until a change is acknowledged.
type admin struct {
	*person
	p *people

	rules map[acl.Binding]*fate
	users map[string]*fate
	last  time.Time // when something was acknowledged last

	working context.Context // while rules change
	blinded *host           // the agent that shall not see the next change
}

// fate is what was last acknowledged of a rule or a user, and what may come after it: a change
// that was given up may take effect later, such as when an agent wakes up.
type fate struct {
	state string          // the salt of a user's password, "there" of a rule; empty: it is deleted
	late  map[string]bool // states that may come after that
}

// known reports whether nothing else can have come after what was acknowledged.
func (f *fate) known() bool {
	for state := range f.late {
		if state != f.state {
			return false
		}
	}
	return true
}

func newAdmin(w *world, p *people) *admin {
	return &admin{person: newPerson(w, administrator, 24), p: p, rules: map[acl.Binding]*fate{}, users: map[string]*fate{}}
}

// insist asks agents until one says that it has done something. It reports whether an attempt before
// that may take effect later.
func (a *admin) insist(ctx context.Context, what string, req func() kmsg.Request, done func(kmsg.Response) error, holds func(version) bool) (late bool) {
	for ctx.Err() == nil && len(a.w.failed()) == 0 {
		h := a.w.hosts[a.draw(len(a.w.hosts))]
		if h == a.blinded {
			continue
		}
		s, err := a.open(ctx, h, a.newest())
		if err == nil {
			var resp kmsg.Response
			var asked time.Time
			if resp, asked, err = a.attempt(ctx, s, req()); err == nil {
				err = done(resp)
			}
			if err == nil {
				if ever, _ := a.w.book.between(asked, time.Now(), holds); !ever {
					a.w.fail("security: %v acknowledges that %s, but etcd doesn't have it", h, what)
				}
			}
			s.close()
			if err == nil {
				a.w.log.add("%s, says %v", what, h)
				a.last = time.Now()
				return late
			}
			late = true
		}
		_ = backoff.Sleep(ctx, a.c.backoff())
	}
	return true
}

func first[T any](all []T) T { return all[0] }

// attempt asks once. It doesn't wait for the answer when the work ends: then all is well, and the next
// attempt gets one.
func (a *admin) attempt(ctx context.Context, s *session, req kmsg.Request) (kmsg.Response, time.Time, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if a.working != nil && a.working.Err() == nil {
		defer context.AfterFunc(a.working, cancel)()
	}
	return s.ask(ctx, req)
}

// settle notes that a change was acknowledged.
func settle[K comparable](fates map[K]*fate, k K, state string, late bool) {
	f := fates[k]
	if f == nil {
		f = &fate{late: map[string]bool{}}
		fates[k] = f
	}
	if f.state = state; late {
		f.late[state] = true
	}
}

// setPassword sets a user's password.
func (a *admin) setPassword(ctx context.Context, x *person, pw password) {
	late := a.insist(ctx, "the password of "+x.name+" is "+pw.salt, func() kmsg.Request {
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = x.name, 1, sasl.MinIterations, []byte(pw.salt), []byte(pw.salted)
		req.Upsertions = append(req.Upsertions, u)
		return req
	}, alteredUser, func(v version) bool { return v.users[x.name] == pw.salt })
	settle(a.users, x.name, pw.salt, late)
}

// remove deletes a user.
func (a *admin) remove(ctx context.Context, x *person) {
	late := a.insist(ctx, "there is no "+x.name, func() kmsg.Request {
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
		d.Name, d.Mechanism = x.name, 1
		req.Deletions = append(req.Deletions, d)
		return req
	}, func(resp kmsg.Response) error {
		err := alteredUser(resp)
		if err == error(kerr.ResourceNotFound) {
			return nil // an attempt before did it
		}
		return err
	}, func(v version) bool { return v.users[x.name] == "" })
	settle(a.users, x.name, "", late)
}

func alteredUser(resp kmsg.Response) error {
	return kerr.ErrorForCode(first(resp.(*kmsg.AlterUserSCRAMCredentialsResponse).Results).ErrorCode)
}

// create makes rules.
func (a *admin) create(ctx context.Context, rules ...acl.Binding) {
	late := a.insist(ctx, "these are rules: "+sentences(rules), func() kmsg.Request {
		req := kmsg.NewPtrCreateACLsRequest()
		req.Version = 3
		for _, r := range rules {
			c := kmsg.NewCreateACLsRequestCreation()
			c.ResourceType, c.ResourcePatternType, c.ResourceName, c.Principal, c.Host = kmsg.ACLResourceType(r.Type), kmsg.ACLResourcePatternType(r.Pattern), r.Name, r.Principal, r.Host
			c.Operation, c.PermissionType = kmsg.ACLOperation(r.Operation), kmsg.ACLPermissionType(r.Permission)
			req.Creations = append(req.Creations, c)
		}
		return req
	}, func(resp kmsg.Response) error {
		for _, r := range resp.(*kmsg.CreateACLsResponse).Results {
			if r.ErrorCode != 0 {
				return kerr.ErrorForCode(r.ErrorCode)
			}
		}
		return nil
	}, func(v version) bool {
		return !slices.ContainsFunc(rules, func(r acl.Binding) bool { return !slices.Contains(v.rules, r) })
	})
	for _, r := range rules {
		settle(a.rules, r, "there", late)
	}
}

// delete takes a rule away.
func (a *admin) delete(ctx context.Context, r acl.Binding) {
	late := a.insist(ctx, "this is no rule: "+r.String(), func() kmsg.Request {
		req := kmsg.NewPtrDeleteACLsRequest()
		req.Version = 3
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourcePatternType, f.ResourceName, f.Principal, f.Host = kmsg.ACLResourceType(r.Type), kmsg.ACLResourcePatternType(r.Pattern), &r.Name, &r.Principal, &r.Host
		f.Operation, f.PermissionType = kmsg.ACLOperation(r.Operation), kmsg.ACLPermissionType(r.Permission)
		req.Filters = append(req.Filters, f)
		return req
	}, func(resp kmsg.Response) error {
		return kerr.ErrorForCode(first(resp.(*kmsg.DeleteACLsResponse).Results).ErrorCode)
	}, func(v version) bool { return !slices.Contains(v.rules, r) })
	settle(a.rules, r, "", late)
}

func sentences(rules []acl.Binding) (text string) {
	for _, r := range rules {
		text += r.String() + "; "
	}
	return text
}

// createTopic makes the guarded topic.
func (a *admin) createTopic(ctx context.Context) {
	a.insist(ctx, "topic "+guarded+" is there", func() kmsg.Request {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version, req.TimeoutMillis = 7, 3000
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = guarded, 1, -1
		req.Topics = append(req.Topics, t)
		return req
	}, func(resp kmsg.Response) error {
		err := kerr.ErrorForCode(first(resp.(*kmsg.CreateTopicsResponse).Topics).ErrorCode)
		if err == error(kerr.TopicAlreadyExists) {
			return nil
		}
		return err
	}, func(version) bool { return true })
}

// meddle changes rules and passwords until ctx ends; the last change is finished all the same.
func (a *admin) meddle(ctx context.Context) {
	rules := a.p.sometimes()
	last := context.WithoutCancel(ctx)
	a.working = ctx
	for ctx.Err() == nil {
		see := a.blind()
		switch n := a.draw(10); n {
		case 0, 1, 2:
			a.changeUser(last)
		default:
			if r := rules[a.draw(len(rules))]; a.rules[r] != nil && a.rules[r].state != "" {
				a.delete(last, r)
			} else {
				a.create(last, r)
			}
		}
		pause := time.Duration(a.draw(900)) * time.Millisecond
		if a.draw(5) == 0 {
			pause += 2 * bound // long enough for all to go by it
		}
		_ = backoff.Sleep(ctx, pause)
		see()
	}
}

// changeUser changes a password, or deletes a user.
func (a *admin) changeUser(ctx context.Context) {
	x := a.p.carol
	switch f := a.users[x.name]; {
	case a.draw(4) == 0:
		a.setPassword(ctx, a.p.bob, a.p.bob.change())
	case f.state != "" && a.draw(2) == 0:
		a.remove(ctx, x)
	default:
		a.setPassword(ctx, x, x.change())
	}
}

// blind keeps an agent from seeing the next change at once, at times: it is cut off from etcd until the
// returned function is called, or the work ends, and may have lost its place in the changes then.
func (a *admin) blind() (see func()) {
	if a.draw(4) > 0 {
		return func() {}
	}
	h := a.w.hosts[a.draw(len(a.w.hosts))]
	l := h.now()
	if l == nil {
		return func() {}
	}
	a.w.log.add("%v can't reach etcd for the next change", h)
	l.setConnected(false)
	a.blinded = h
	loses := a.draw(2) == 0
	end := sync.OnceFunc(func() {
		if loses {
			a.w.meta.Compact()
		}
		l.setConnected(true)
	})
	stop := context.AfterFunc(a.working, end)
	return func() {
		stop()
		end()
		a.blinded = nil
	}
}

// acknowledged looks whether etcd has what was acknowledged.
func (a *admin) acknowledged() {
	now := a.w.book.now()
	for _, r := range append(a.p.always(), a.p.sometimes()...) {
		if f := a.rules[r]; f != nil && f.known() && (f.state != "") != slices.Contains(now.rules, r) {
			a.w.fail("security: the rule %v is acknowledged as %q, but there are %s", r, f.state, sentences(now.rules))
		}
	}
	for _, x := range a.p.all() {
		if f := a.users[x.name]; f.known() && f.state != now.users[x.name] {
			a.w.fail("security: the password of %s was acknowledged as %q, but it is %q", x.name, f.state, now.users[x.name])
		}
	}
}

// compare looks whether an agent shows the rules that etcd has.
func (a *admin) compare(ctx context.Context, h *host) {
	for ctx.Err() == nil {
		if s, err := a.open(ctx, h, a.newest()); err == nil {
			got, err := describe(ctx, s)
			s.close()
			if err == nil {
				want := slices.SortedFunc(slices.Values(a.w.book.now().rules), acl.Binding.Compare)
				if !slices.Equal(got, want) {
					a.w.fail("security: %v shows the rules %s, but they are %s", h, sentences(got), sentences(want))
				}
				return
			}
		}
		_ = backoff.Sleep(ctx, a.c.backoff())
	}
	a.w.fail("security: %v doesn't show the rules", h)
}

// describe lists the rules by which an agent goes.
func describe(ctx context.Context, s *session) (rules []acl.Binding, err error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.Version = 3
	req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 1, 1, 1, 1
	resp, _, err := s.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	r := resp.(*kmsg.DescribeACLsResponse)
	for _, on := range r.Resources {
		for _, x := range on.ACLs {
			rules = append(rules, acl.Binding{Type: acl.ResourceType(on.ResourceType), Pattern: acl.PatternType(on.ResourcePatternType), Name: on.ResourceName,
				Principal: x.Principal, Host: x.Host, Operation: acl.Operation(x.Operation), Permission: acl.Permission(x.PermissionType)})
		}
	}
	slices.SortFunc(rules, acl.Binding.Compare)
	return rules, kerr.ErrorForCode(r.ErrorCode)
}
