package group

// timerKind says what a timer is for.
type timerKind uint8

const (
	timerSession   timerKind = iota // of a member, or of an id that was given out
	timerJoin                       // the end of the join phase
	timerSync                       // the end of the sync phase
	timerRetention                  // the next look at expired offsets
	timerAssigned                   // the patience of Syncs with the store
)

type timerKey struct {
	kind   timerKind
	member string // of timerSession
}
