package classic

import "slices"

// State is where a group stands.
type State uint8

// The states of a group.
const (
	Dead                State = iota // not there, or being deleted
	Empty                            // has no members, may have offsets
	PreparingRebalance               // waits for members to join
	CompletingRebalance              // waits for the leader's assignment
	Stable                           // every member can have its assignment
)

// String is Kafka's name of the state.
func (s State) String() string {
	return [...]string{"Dead", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

func (s State) in(states ...State) bool { return slices.Contains(states, s) }
