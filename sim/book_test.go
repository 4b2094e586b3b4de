package sim

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"varve/auth/acl"
	"varve/metadata"
	"varve/metadata/schema"
)

// book is what was true of users and ACLs, and when: what etcd had after each transaction. What
// agents decided is held against it.
type book struct {
	mu       sync.Mutex
	changes  []bookChange // in the order of their revisions
	versions []version    // one after each change
}

type bookChange struct {
	at  time.Time
	rev metadata.Revision
	ops []metadata.Op
}

// version is what was true from a moment on. It doesn't change.
type version struct {
	from   time.Time
	rules  []acl.Binding
	users  map[string]string // the salt of each one's password, which is no other password's
	tokens map[string]schema.Token
}

func newBook() *book {
	return &book{versions: []version{{from: time.Now(), users: map[string]string{}, tokens: map[string]schema.Token{}}}}
}

// note takes a transaction that etcd has applied.
func (b *book) note(rev metadata.Revision, ops []metadata.Op) {
	ours := func(o metadata.Op) bool {
		return strings.HasPrefix(o.Key, schema.PrefixACLs) || strings.HasPrefix(o.Key, schema.PrefixUsers) || strings.HasPrefix(o.Key, schema.PrefixTokens)
	}
	if !slices.ContainsFunc(ops, ours) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := bookChange{time.Now(), rev, ops}
	at := len(b.changes)
	for at > 0 && b.changes[at-1].rev > rev { // of the same moment
		at--
	}
	b.changes = slices.Insert(b.changes, at, c)
	b.versions = b.versions[:at+1]
	for _, c := range b.changes[at:] {
		b.versions = append(b.versions, b.versions[len(b.versions)-1].after(c))
	}
}

// after returns what is true after a change.
func (v version) after(c bookChange) version {
	next := version{c.at, slices.Clone(v.rules), maps.Clone(v.users), maps.Clone(v.tokens)}
	for _, o := range c.ops {
		if rule, err := schema.ParseACLKey(o.Key); err == nil && strings.HasPrefix(o.Key, schema.PrefixACLs) {
			next.rules = slices.DeleteFunc(next.rules, func(r acl.Binding) bool { return r == rule })
			if !o.Delete {
				next.rules = append(next.rules, rule)
			}
		}
		if name, err := schema.ParseUserKey(o.Key); err == nil && strings.HasPrefix(o.Key, schema.PrefixUsers) {
			delete(next.users, name)
			if u, err := schema.DecodeUser(o.Value); err == nil && !o.Delete {
				next.users[name] = string(u.Scram[schema.ScramSHA256].Salt)
			}
		}
		if id, err := schema.ParseTokenKey(o.Key); err == nil && strings.HasPrefix(o.Key, schema.PrefixTokens) {
			delete(next.tokens, id)
			if t, err := schema.DecodeToken(o.Value); err == nil && !o.Delete {
				next.tokens[id] = t
			}
		}
	}
	return next
}

// now returns what is true now.
func (b *book) now() version {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.versions[len(b.versions)-1]
}

// between asks about all that was true at some moment from one to another: whether it ever held,
// and whether it always did.
func (b *book) between(from, to time.Time, holds func(version) bool) (ever, always bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	always = true
	for i := len(b.versions) - 1; i >= 0; i-- {
		v := &b.versions[i]
		if v.from.After(to) {
			continue
		}
		if holds(*v) {
			ever = true
		} else {
			always = false
		}
		if v.from.Before(from) {
			break
		}
	}
	return ever, always
}

// question is what a principal asks to do.
type question struct {
	principal string
	at        node // from where
	op        acl.Operation
	on        acl.ResourceType
	name      string
}

// allows decides as Kafka's documentation says, without an index.
func (v version) allows(q question) bool {
	allowed := false
	for _, r := range v.rules {
		switch {
		case r.Type != q.on, r.Principal != q.principal && r.Principal != "User:*", r.Host != "*" && r.Host != q.at.String():
			continue
		case r.Pattern == acl.Literal && r.Name != q.name && r.Name != "*", r.Pattern == acl.Prefixed && !strings.HasPrefix(q.name, r.Name):
			continue
		}
		same := r.Operation == q.op || r.Operation == acl.All
		switch {
		case r.Permission == acl.Deny && same:
			return false
		case r.Permission == acl.Allow:
			implied := q.op == acl.Describe && (r.Operation == acl.Read || r.Operation == acl.Write || r.Operation == acl.Delete || r.Operation == acl.Alter)
			allowed = allowed || same || implied
		}
	}
	return allowed
}
