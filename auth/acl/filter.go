package acl

import "strings"

// Filter selects bindings. A nil field and the Any constants match everything.
type Filter struct {
	Type       ResourceType
	Pattern    PatternType
	Name       *string
	Principal  *string
	Host       *string
	Operation  Operation
	Permission Permission
}

// Everything selects all bindings.
func Everything() Filter {
	return Filter{Type: AnyResource, Pattern: AnyPattern, Operation: AnyOperation, Permission: AnyPermission}
}

// Validate refuses a filter with numbers that have no meaning.
func (f *Filter) Validate() error {
	switch {
	case f.Type < AnyResource || f.Type > User || f.Pattern < AnyPattern || f.Pattern > Prefixed:
		return invalid("Unknown patternFilter.")
	case f.Operation < AnyOperation || f.Operation > TwoPhaseCommit || f.Permission < AnyPermission || f.Permission > Allow:
		return invalid("Unknown entryFilter.")
	}
	return nil
}

// Matches reports whether the filter selects a binding.
func (f *Filter) Matches(b *Binding) bool {
	return f.matchesPattern(b) && is(f.Principal, b.Principal) && is(f.Host, b.Host) &&
		(f.Operation == AnyOperation || f.Operation == b.Operation) &&
		(f.Permission == AnyPermission || f.Permission == b.Permission)
}

func (f *Filter) matchesPattern(b *Binding) bool {
	switch {
	case f.Type != AnyResource && f.Type != b.Type:
		return false
	case f.Pattern != AnyPattern && f.Pattern != Match && f.Pattern != b.Pattern:
		return false
	case f.Name == nil:
		return true
	case f.Pattern != Match:
		return *f.Name == b.Name
	}
	return b.applies(*f.Name)
}

// applies reports whether the binding's pattern matches a resource of its type.
func (b *Binding) applies(name string) bool {
	if b.Pattern == Prefixed {
		return strings.HasPrefix(name, b.Name)
	}
	return b.Name == name || b.Name == Wildcard
}

// is reports whether a filter's field matches a value.
func is(want *string, have string) bool { return want == nil || *want == have }

// Only returns the one binding that the filter can match, if it is so narrow.
func (f *Filter) Only() (b Binding, ok bool) {
	if f.Name == nil || f.Principal == nil || f.Host == nil {
		return b, false
	}
	b = Binding{f.Type, f.Pattern, *f.Name, *f.Principal, *f.Host, f.Operation, f.Permission}
	return b, b.Validate() == nil
}
