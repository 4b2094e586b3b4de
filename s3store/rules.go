package s3store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rules are a bucket's own ideas of what becomes of objects, as far as it tells.
type Rules struct {
	Versioned  bool // deleted and replaced objects stay as noncurrent versions
	Locked     bool // object lock: versions can't be deleted before their time
	Noncurrent bool // a lifecycle rule ends noncurrent versions of our objects
	// Live are lifecycle rules that delete or move objects of ours that are in use.
	Live []string
}

// ruler is a driver that can tell a bucket's rules.
type ruler interface {
	versioning(ctx context.Context) (bool, error)
	locked(ctx context.Context) (bool, error)
	lifecycle(ctx context.Context) ([]rule, error)
}

// rule is a lifecycle rule that is on.
type rule struct {
	id         string
	prefix     string
	tagged     bool // it is for objects with tags, of which we have none
	live       bool // it deletes or moves current versions
	noncurrent bool // it deletes noncurrent ones
}

// ReadRules asks a store from Open for its bucket's rules. What it may not ask, or what the store
// doesn't know, counts as not there.
func ReadRules(ctx context.Context, s Store) (Rules, error) {
	a, ok := s.(*Adapted)
	if !ok || a.ruler == nil {
		return Rules{}, nil
	}
	var r Rules
	var errs []error
	note := func(what string, err error) {
		if err != nil && Transient(err) {
			errs = append(errs, fmt.Errorf("ask for the bucket's %s: %w", what, err))
		}
	}
	var err error
	r.Versioned, err = a.ruler.versioning(ctx)
	note("versioning", err)
	r.Locked, err = a.ruler.locked(ctx)
	note("object lock", err)
	rules, err := a.ruler.lifecycle(ctx)
	note("lifecycle rules", err)
	r.apply(rules, a.prefix)
	return r, errors.Join(errs...)
}

// apply goes through the rules that are about objects below a prefix.
func (r *Rules) apply(rules []rule, prefix string) {
	for _, x := range rules {
		ours := strings.HasPrefix(prefix, x.prefix) || strings.HasPrefix(x.prefix, prefix)
		if !ours || x.tagged {
			continue
		}
		r.Noncurrent = r.Noncurrent || x.noncurrent && strings.HasPrefix(prefix, x.prefix)
		if x.live {
			name := x.id
			if name == "" {
				name = "without a name, for prefix \"" + x.prefix + "\""
			}
			r.Live = append(r.Live, name)
		}
	}
	slices.Sort(r.Live)
}

// Danger reports how the rules will lose records; "" if they won't.
func (r *Rules) Danger() string {
	if len(r.Live) == 0 {
		return ""
	}
	return fmt.Sprintf("lifecycle rules of the bucket delete or move objects that are in use (%s): take them off, or away from this prefix; retention is Varve's", strings.Join(r.Live, ", "))
}

// Cost reports that deleted objects stay, and what to do; "" if they don't.
func (r *Rules) Cost() string {
	switch {
	case r.Versioned && r.Locked && !r.Noncurrent:
		return "the bucket is versioned, with object lock: what Varve deletes stays as noncurrent versions, and costs, until a lifecycle rule for noncurrent versions (NoncurrentVersionExpiration) and the lock's time let it go"
	case r.Versioned && !r.Noncurrent:
		return "the bucket is versioned: what Varve deletes stays as noncurrent versions, and costs, for ever. Give it a lifecycle rule for noncurrent versions (NoncurrentVersionExpiration, such as after 7 days)"
	case r.Locked:
		return "the bucket has object lock: what Varve deletes stays until the lock's time is over"
	}
	return ""
}
