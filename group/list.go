package group

import (
	"cmp"
	"context"
	"slices"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
)

// Listing is what ListGroups shows.
type Listing struct {
	Group        string
	ProtocolType string
	State        classic.State
}

// Describe shows a group; one that does not exist is Dead.
func (g *Groups) Describe(ctx context.Context, group string) (classic.Description, error) {
	d, _, err := coordinator.Look(ctx, g.driver, group, func(g *Group) classic.Description { return g.members.Describe() })
	return d, err
}

// List shows all groups that this agent coordinates, by name.
func (g *Groups) List(ctx context.Context) ([]Listing, error) {
	all, err := coordinator.Survey(ctx, g.driver, func(_ string, m coordinator.Machine, s any) (Listing, bool) {
		if m == nil {
			return s.(summary).listing, true
		}
		g := m.(*Group)
		return g.listing(), g.members.There()
	})
	slices.SortFunc(all, func(a, b Listing) int { return cmp.Compare(a.Group, b.Group) })
	return all, err
}

// Progress is how many members a group has, and how far it got.
type Progress struct {
	Group     string
	Members   int
	Committed []offsets.Committed
}

// Progress returns how far the groups of this agent got, without reading anything: as it was
// stored last. It doesn't prove which agent coordinates them.
func (g *Groups) Progress(ctx context.Context) ([]Progress, error) {
	return coordinator.Survey(ctx, g.driver, func(group string, m coordinator.Machine, s any) (Progress, bool) {
		if m == nil {
			idle := s.(summary) // which has no members
			return Progress{Group: group, Committed: idle.committed}, idle.listing.State != classic.Dead || len(idle.committed) > 0
		}
		g := m.(*Group)
		return Progress{group, g.members.Count(), g.progress()}, g.members.There()
	})
}
