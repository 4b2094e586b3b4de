package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"varve/s3store"
)

var longSegment = strings.Repeat("s", s3store.MaxSegmentBytes)

func (s *suite) keysAtLimits() {
	keys := []string{
		"a", "-", "=", "_", "...", ".a", "a.", "x/.b/..c/...", "a=b/c_d-e.f",
		"A/b", longSegment + "/x", longSegment[1:],
		strings.Repeat(longSegment+"/", 3) + longSegment[:s3store.MaxKeyBytes-3*len(longSegment)-3],
		strings.Repeat("d/", s3store.MaxKeyBytes/2-1) + "ee",
	}
	for _, key := range keys {
		s.put(key, "value of "+key)
	}
	for _, key := range keys {
		s.holds(key, []byte("value of "+key))
	}
	slices.Sort(keys)
	s.lists("", "", keys)
	s.ok(s.store.Delete(s.ctx, keys))
	s.lists("", "", nil)
}

func (s *suite) badKeys() {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a/..", "a b", "a\x00b", "ä", "a\\b",
		"a@", "a+", "a,b", "a:b", "a?b", "a%2fb", "a\n",
		longSegment + "s", "a/" + longSegment + "s/b", strings.Repeat("x/", 450) + "x", strings.Repeat("x", 5000),
	} {
		s.is(s.store.Put(s.ctx, key, strings.NewReader("x")), s3store.ErrInvalid)
		s.is(s.store.PutIfAbsent(s.ctx, key, strings.NewReader("x")), s3store.ErrInvalid)
		_, err := s.tryGet(key, 0, -1)
		s.is(err, s3store.ErrInvalid)
		_, err = s.store.Head(s.ctx, key)
		s.is(err, s3store.ErrInvalid)
		s.is(s.store.Delete(s.ctx, []string{"fine", key}), s3store.ErrInvalid)
	}
	for _, prefix := range []string{"../", "/", "a//", "a b", "a/../", "a\x00"} {
		s.is(s.store.List(s.ctx, prefix, "", func(s3store.Object) bool { return true }), s3store.ErrInvalid)
	}
	s.lists("", "", nil)
}

// orderKeys would come in another order if folders sorted as their names do.
var orderKeys = []string{
	"a-b", "a-c/x", "a.b", "a/b", "a/b-c", "a/b.c/d", "a/b=/c", "a/b_/d/e", "a/b0", "a/c", "a0", "a=", "aa", "b",
}

func (s *suite) putOrderKeys() []string {
	keys := slices.Clone(orderKeys)
	for _, key := range keys {
		s.put(key, key)
	}
	slices.Sort(keys)
	return keys
}

func (s *suite) listOrder() {
	keys := s.putOrderKeys()
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "a/b.", "a/b.c/", "a-", "z", "a/b/c/d/e"} {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		s.lists(prefix, "", want)
	}
}

func (s *suite) listFromAnywhere() {
	keys := s.putOrderKeys()
	for _, after := range append([]string{"A", "a/", "a/b/", "a/a", "a/b/zz", "z", "0"}, keys...) {
		for _, prefix := range []string{"", "a/b", "a/"} {
			var want []string
			for _, key := range keys {
				if key > after && strings.HasPrefix(key, prefix) {
					want = append(want, key)
				}
			}
			s.lists(prefix, after, want)
		}
	}
	var few []string
	s.ok(s.store.List(s.ctx, "", "", func(object s3store.Object) bool {
		few = append(few, object.Key)
		return len(few) < 3
	}))
	if !slices.Equal(few, keys[:3]) {
		s.Fatalf("a listing that was ended gave %q", few)
	}
}

func (s *suite) manyKeys() {
	const count = 2345
	keys := make([]string, count)
	var wait sync.WaitGroup
	limit := make(chan struct{}, 32)
	for i := range keys {
		keys[i] = fmt.Sprintf("many/%02d/%05d", i%7, i)
		limit <- struct{}{}
		wait.Go(func() {
			defer func() { <-limit }()
			if err := s.store.Put(s.ctx, keys[i], strings.NewReader("x")); err != nil {
				s.Error(err)
			}
		})
	}
	wait.Wait()
	s.put("other", "stays")
	slices.Sort(keys)
	s.lists("many/", "", keys)
	s.lists("many/", keys[1100], keys[1101:])
	s.ok(s.store.Delete(s.ctx, append(keys, "many/absent")))
	s.lists("", "", []string{"other"})
}

func (s *suite) delete() {
	s.ok(s.store.Delete(s.ctx, nil))
	s.ok(s.store.Delete(s.ctx, []string{"absent", "absent/too"}))
	s.put("a", "1")
	s.put("b/a", "2")
	s.put("b/c/d", "3")
	s.ok(s.store.Delete(s.ctx, []string{"a", "absent", "b/c/d", "a"}))
	s.lists("", "", []string{"b/a"})
	s.holds("b/a", []byte("2"))
	_, err := s.store.Head(s.ctx, "a")
	s.is(err, s3store.ErrNotFound)
	s.put("b/c/d", "back")
	s.holds("b/c/d", []byte("back"))
}

func (s *suite) endedContext() {
	s.put("there", "x")
	ctx, cancel := context.WithCancel(s.ctx)
	body, err := s.store.Get(ctx, "there", 0, -1)
	s.ok(err)
	body.Close()
	cancel()
	each := func(s3store.Object) bool { return true }
	_, getErr := s.store.Get(ctx, "there", 0, -1)
	_, headErr := s.store.Head(ctx, "there")
	for name, err := range map[string]error{
		"put":           s.store.Put(ctx, "new", strings.NewReader("x")),
		"put big":       s.store.Put(ctx, "new", brokenBody{nil, 1 << 40}),
		"put if absent": s.store.PutIfAbsent(ctx, "new", strings.NewReader("x")),
		"get":           getErr,
		"head":          headErr,
		"list":          s.store.List(ctx, "", "", each),
		"delete":        s.store.Delete(ctx, []string{"there"}),
	} {
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s: %v", name, err)
		}
	}
	s.lists("", "", []string{"there"})
}

func (s *suite) prefixesApart() {
	one, err := s3store.WithPrefix(s.store, "one")
	s.ok(err)
	two, err := s3store.WithPrefix(s.store, "one/two/")
	s.ok(err)
	whole := *s
	s.put("k", "root")
	s.store = one
	s.put("k", "1")
	s.store = two
	s.put("k", "2")
	s.holds("k", []byte("2"))
	s.lists("", "", []string{"k"})
	s.lists("k", "", []string{"k"})
	s.lists("", "j", []string{"k"})
	s.lists("", "k", nil)
	object, err := s.store.Head(s.ctx, "k")
	s.ok(err)
	if object.Key != "k" {
		s.Fatalf("head says key %q", object.Key)
	}
	longest := strings.Repeat("m/", s3store.MaxKeyBytes/2-1) + "mm"
	s.put(longest, "long")
	s.is(s.store.Put(s.ctx, "../k", strings.NewReader("x")), s3store.ErrInvalid)
	whole.lists("", "", []string{"k", "one/k", "one/two/k", "one/two/" + longest})
	s.ok(s.store.Delete(s.ctx, []string{"k", longest}))
	whole.lists("", "", []string{"k", "one/k"})
	for _, bad := range []string{"..", "a//b", "a b", "/", "/a", strings.Repeat("p", s3store.MaxPrefixBytes)} {
		_, err := s3store.WithPrefix(whole.store, bad)
		if bad != "/" { // no prefix at all
			s.is(err, s3store.ErrInvalid)
		}
	}
}

func (s *suite) probe() {
	report, err := s3store.Probe(s.ctx, s.store, nil)
	s.ok(err)
	if !report.IfNoneMatch || len(report.Notes) > 0 {
		s.Fatalf("got %+v", report)
	}
	s.lists("", "", nil)
}
