package acl

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// model decides as Kafka's StandardAuthorizer does, one binding after the other.
func model(bindings []Binding, p *Policy, principal, host string, op Operation, on Resource) (allowed bool, why Why) {
	if p.supers[principal] {
		return true, BySuper
	}
	some, allow := false, false
	for _, b := range bindings {
		if b.Type != on.Type || !b.applies(on.Name) {
			continue
		}
		some = true
		if b.Principal != principal && b.Principal != Everyone || b.Host != host && b.Host != Wildcard {
			continue
		}
		same := b.Operation == op || b.Operation == All
		if b.Permission == Deny && same {
			return false, ByRule
		}
		implied := op == Describe && slices.Contains([]Operation{Read, Write, Delete, Alter}, b.Operation) || op == DescribeConfigs && b.Operation == AlterConfigs
		allow = allow || b.Permission == Allow && (same || implied)
	}
	switch {
	case allow:
		return true, ByRule
	case !some:
		return p.allowEveryone && on.Type != User && on.Type != DelegationToken, ByNoRules
	}
	return false, ByDefault
}

// some makes bindings out of few parts, so that they meet.
type some struct{ *rand.Rand }

func pick[T any](s some, of ...T) T { return of[s.IntN(len(of))] }

func (s some) name() string { return pick(s, "*", "a", "ab", "abc", "abcd", "b", "bc", "*a", "a*") }

func (s some) binding() Binding {
	return Binding{Type: pick(s, Topic, Group), Pattern: pick(s, Literal, Literal, Prefixed), Name: s.name(),
		Principal: pick(s, "User:a", "User:b", Everyone, "User:c"), Host: pick(s, Wildcard, Wildcard, "h", "i"),
		Operation: pick(s, All, Read, Write, Alter, Delete, Describe, DescribeConfigs, AlterConfigs, Create), Permission: pick(s, Allow, Allow, Deny)}
}

// Whatever is added and removed, decisions are those of the model, a decision's rule is one
// of the bindings and decides so by itself, and the rules hold exactly what was put in.
func TestDecisionsAreTheModels(t *testing.T) {
	for seed := range uint64(300) {
		s := some{rand.New(rand.NewPCG(seed, 7))}
		policy := NewPolicy([]string{"User:root"}, seed%3 == 0)
		var rules *Rules
		var bindings []Binding
		for range 40 {
			edit := NewEdit(rules)
			for range 1 + s.IntN(3) {
				b := s.binding()
				if at := slices.Index(bindings, b); at >= 0 && s.IntN(2) == 0 {
					bindings = slices.Delete(bindings, at, at+1)
					edit.Remove(b)
				} else if at < 0 && s.IntN(3) > 0 {
					bindings = append(bindings, b)
					edit.Add(b)
				}
			}
			before := rules.Len()
			next := edit.Rules()
			if rules.Len() != before {
				t.Fatal("an edit changed what it began with")
			}
			rules = next
			checkContent(t, rules, bindings)
			for range 20 {
				checkDecision(t, s, rules, policy, bindings)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func checkContent(t *testing.T, rules *Rules, bindings []Binding) {
	t.Helper()
	want := slices.Clone(bindings)
	slices.SortFunc(want, Binding.Compare)
	if got := rules.Select(Everything()); !slices.Equal(got, want) || rules.Len() != len(want) {
		t.Errorf("the rules are %v, want %v", got, want)
	}
}

func checkDecision(t *testing.T, s some, rules *Rules, p *Policy, bindings []Binding) {
	t.Helper()
	principal, host, op := pick(s, "User:a", "User:b", "User:d", "User:root"), pick(s, "h", "i", "j"), pick(s, Read, Write, Describe, DescribeConfigs, Create, Alter)
	on := Resource{pick(s, Topic, Group), pick(s, s.name(), "abcde", "acd", "z")}
	allowed, why := model(bindings, p, principal, host, op, on)
	d := p.Decide(rules, principal, host, op, on)
	if d.Allowed != allowed || d.Why != why {
		t.Errorf("%s from %s: %v on %v: %+v, want %v, %v; of %v", principal, host, op, on, d, allowed, why, bindings)
	}
	if d.Why == ByRule {
		if !slices.Contains(bindings, d.Rule) {
			t.Errorf("rule %v is none of %v", d.Rule, bindings)
		}
		if alone, _ := model([]Binding{d.Rule}, p, principal, host, op, on); alone != d.Allowed {
			t.Errorf("rule %v alone decides %v", d.Rule, alone)
		}
	}
}

// A filter finds what the words of KIP-290 say.
func TestFilters(t *testing.T) {
	b := func(kind PatternType, name string) Binding {
		return Binding{Topic, kind, name, "User:a", Wildcard, Read, Allow}
	}
	rules := New(b(Literal, "foo"), b(Literal, "*"), b(Prefixed, "fo"), b(Prefixed, "foo"), b(Prefixed, "*"), b(Literal, "fool"))
	for _, c := range []struct {
		kind PatternType
		name string
		want string
	}{
		{AnyPattern, "foo", "LITERAL:foo PREFIXED:foo"},
		{Literal, "foo", "LITERAL:foo"},
		{Literal, "*", "LITERAL:*"},
		{Prefixed, "fo", "PREFIXED:fo"},
		{Match, "foo", "LITERAL:* PREFIXED:fo LITERAL:foo PREFIXED:foo"},
		{Match, "fool", "LITERAL:* PREFIXED:fo PREFIXED:foo LITERAL:fool"},
		{Match, "*", "LITERAL:* PREFIXED:*"},
		{Match, "x", "LITERAL:*"},
	} {
		f := Everything()
		f.Pattern, f.Name = c.kind, &c.name
		got := ""
		for _, x := range rules.Select(f) {
			if got != "" {
				got += " "
			}
			got += fmt.Sprintf("%v:%s", x.Pattern, x.Name)
		}
		if got != c.want {
			t.Errorf("%v %s: %s, want %s", c.kind, c.name, got, c.want)
		}
	}
}

func TestDecideAny(t *testing.T) {
	b := func(kind PatternType, name string, p Permission, op Operation) Binding {
		return Binding{Topic, kind, name, "User:a", Wildcard, op, p}
	}
	for i, c := range []struct {
		want     bool
		bindings []Binding
	}{
		{false, nil},
		{true, []Binding{b(Literal, "t", Allow, Write)}},
		{true, []Binding{b(Literal, "t", Allow, All)}},
		{false, []Binding{b(Literal, "t", Allow, Read)}},
		{false, []Binding{b(Literal, "t", Allow, Write), b(Literal, "t", Deny, Write)}},
		{false, []Binding{b(Literal, "topic", Allow, Write), b(Prefixed, "to", Deny, All)}},
		{true, []Binding{b(Prefixed, "t", Allow, Write), b(Prefixed, "to", Deny, Write)}},
		{true, []Binding{b(Prefixed, "t", Allow, Write), b(Literal, "t", Deny, Write)}},
		{false, []Binding{b(Prefixed, "t", Allow, Write), b(Prefixed, "t", Deny, Write)}},
		{false, []Binding{b(Literal, "t", Allow, Write), b(Literal, "*", Deny, Write)}},
		{true, []Binding{b(Literal, "*", Allow, Write), b(Literal, "t", Deny, Write)}},
	} {
		if got := NewPolicy(nil, false).DecideAny(New(c.bindings...), "User:a", "h", Write, Topic); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	if !NewPolicy([]string{"User:a"}, false).DecideAny(New(b(Literal, "*", Deny, Write)), "User:a", "h", Write, Topic) {
		t.Error("a super user may not")
	}
}

// Names are read as tools write them, and nothing else.
func TestNames(t *testing.T) {
	for _, s := range []string{"IdempotentWrite", "IDEMPOTENT_WRITE", "idempotent-write"} {
		if op, err := ParseOperation(s); err != nil || op != IdempotentWrite {
			t.Errorf("%s: %v, %v", s, op, err)
		}
	}
	for _, s := range []string{"", "unknown", "reads"} {
		if op, err := ParseOperation(s); err == nil {
			t.Errorf("%q is %v", s, op)
		}
	}
	if Operation(200).String() != "UNKNOWN" {
		t.Error("a number without meaning has a name")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Read", "User:alice")
	f.Add("transactional-id", ":")
	f.Fuzz(func(t *testing.T, word, principal string) {
		if op, err := ParseOperation(word); err == nil {
			if again, err := ParseOperation(op.String()); err != nil || again != op || op == 0 {
				t.Fatalf("%v, %v", again, err)
			}
		}
		if on, err := ParseResourceType(word); err == nil {
			if again, err := ParseResourceType(on.String()); err != nil || again != on || on == 0 {
				t.Fatalf("%v, %v", again, err)
			}
		}
		b := Binding{Topic, Literal, word, principal, Wildcard, Read, Allow}
		if b.Validate() == nil && !New(b).Has(b) {
			t.Fatal("a valid binding isn't kept")
		}
	})
}

func TestValidate(t *testing.T) {
	good := Binding{Topic, Literal, "t", "User:a", Wildcard, Read, Allow}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Binding){
		"type any": func(b *Binding) { b.Type = AnyResource }, "type 9": func(b *Binding) { b.Type = 9 }, "match": func(b *Binding) { b.Pattern = Match },
		"operation any": func(b *Binding) { b.Operation = AnyOperation }, "operation 16": func(b *Binding) { b.Operation = 16 }, "no permission": func(b *Binding) { b.Permission = AnyPermission },
		"cluster": func(b *Binding) { b.Type = Cluster }, "no name": func(b *Binding) { b.Name = "" }, "no host": func(b *Binding) { b.Host = "" },
		"no principal": func(b *Binding) { b.Principal = "" }, "no type of principal": func(b *Binding) { b.Principal = "alice" }, "long": func(b *Binding) { b.Name = string(make([]byte, MaxField+1)) },
	} {
		b := good
		if spoil(&b); b.Validate() == nil {
			t.Errorf("%s is valid: %v", name, b)
		}
	}
}

// many are bindings as a large cluster has them, and worse.
func many(n int) []Binding {
	var out []Binding
	for i := range n {
		b := Binding{Topic, Literal, fmt.Sprintf("topic-%d", i%1000), fmt.Sprintf("User:u%d", i), Wildcard, Read, Allow}
		switch i % 5 {
		case 0:
			b.Pattern, b.Name = Prefixed, fmt.Sprintf("topic-%d", i%500)
		case 1:
			b.Name = Wildcard
		case 2:
			b.Host = fmt.Sprintf("10.0.0.%d", i%250)
		}
		out = append(out, b)
	}
	return out
}

// A decision among 10,000 bindings allocates nothing.
func TestDecisionsAllocateNothing(t *testing.T) {
	rules, p := New(many(10_000)...), NewPolicy([]string{"User:root"}, false)
	n := testing.AllocsPerRun(100, func() { p.Decide(rules, "User:u7", "10.0.0.7", Read, Resource{Topic, "topic-123-x"}) })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide10000(b *testing.B) {
	rules, p := New(many(10_000)...), NewPolicy([]string{"User:root"}, false)
	names := make([]string, 1000)
	users := make([]string, 1000)
	for i := range names {
		names[i], users[i] = fmt.Sprintf("topic-%d-x", i), fmt.Sprintf("User:u%d", i*7)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Decide(rules, users[i%1000], "10.0.0.7", Read, Resource{Topic, names[i%1000]})
	}
}

// One change among 10,000 bindings.
func BenchmarkChange10000(b *testing.B) {
	rules := New(many(10_000)...)
	x := Binding{Topic, Prefixed, "topic-777", "User:x", Wildcard, Read, Allow}
	b.ReportAllocs()
	for b.Loop() {
		e := NewEdit(rules)
		e.Add(x)
		e.Rules()
	}
}
