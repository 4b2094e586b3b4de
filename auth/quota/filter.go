package quota

// Match is how a part of an entity is selected, with Kafka's numbers.
type Match int8

// The ways to select.
const (
	MatchExact   Match = 0 // that name
	MatchDefault Match = 1 // the default
	MatchAny     Match = 2 // any name, and the default
)

// Component selects entities by one part.
type Component struct {
	Of    Type
	Match Match
	Name  string // of MatchExact
}

// Filter selects the entities that all its components select.
type Filter struct {
	Components []Component
	Strict     bool // entities with other parts aren't selected
}

// Matches reports whether the filter selects an entity.
func (f *Filter) Matches(e Entity) bool {
	for _, c := range f.Components {
		p := e.Part(c.Of)
		if p == nil || !p.There {
			return false
		}
		switch c.Match {
		case MatchExact:
			if p.Name != c.Name || p.Name == "" {
				return false
			}
		case MatchDefault:
			if p.Name != "" {
				return false
			}
		}
	}
	if !f.Strict {
		return true
	}
	parts := 0
	for _, of := range Types() {
		if e.Part(of).There {
			parts++
		}
	}
	return parts == len(f.Components)
}
