package classic

import (
	"maps"
	"slices"
)

// common returns the protocols that all members have.
func (r *roster) common() map[string]bool {
	n := map[string]int{}
	for _, m := range r.members {
		for _, p := range m.protocols {
			n[p.Name]++
		}
	}
	common := map[string]bool{}
	for name, count := range n {
		if count == len(r.members) {
			common[name] = true
		}
	}
	return common
}

// vote chooses the protocol that most members like best among those that all
// have. Ties go to the first by name.
func (r *roster) vote() string {
	common := r.common()
	votes := map[string]int{}
	for _, m := range r.members {
		for _, p := range m.protocols {
			if common[p.Name] {
				votes[p.Name]++
				break
			}
		}
	}
	best := ""
	for _, name := range slices.Sorted(maps.Keys(votes)) {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}
