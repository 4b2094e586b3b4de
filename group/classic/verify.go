package classic

import (
	"fmt"

	"varve/coordinator"
)

// Verify checks the invariants, and returns the Joins and Syncs that wait; it is for tests.
func Verify(m *Membership) (waiting map[coordinator.Ticket]bool, err error) {
	waiting = map[coordinator.Ticket]bool{}
	joins, unsynced, size := 0, 0, 0
	for _, o := range m.members {
		if m.byID[o.id] != o || o.instance != nil && m.static[*o.instance] != o.id {
			return nil, fmt.Errorf("member %s is not indexed", o.id)
		}
		size += o.size
		if o.join != nil {
			joins++
			waiting[*o.join] = true
		}
		if o.sync != nil {
			waiting[*o.sync] = true
		}
		if o.unsynced {
			unsynced++
		}
		if !m.timers.Has(timer{timerSession, o.id}) && o.join == nil && o.sync == nil {
			return nil, fmt.Errorf("member %s of a group in %v has no session", o.id, m.gen.state)
		}
	}
	switch {
	case size != m.size:
		err = fmt.Errorf("members take %d bytes, %d are counted", size, m.size)
	case joins != m.joining || unsynced != m.unsynced || len(m.byID) != len(m.members):
		err = fmt.Errorf("%d members wait, %d are counted; %d have not synced, %d are counted; %d members, %d indexed",
			joins, m.joining, unsynced, m.unsynced, len(m.members), len(m.byID))
	case m.leader != "" && m.byID[m.leader] == nil || m.leader == "" && len(m.members) > 0:
		err = fmt.Errorf("leader %q of %d members", m.leader, len(m.members))
	case m.gen.state == PreparingRebalance && !m.timers.Has(timer{kind: timerJoin}):
		err = fmt.Errorf("the join phase has no end")
	case m.gen.state.in(Dead, Empty) && len(m.members) > 0:
		err = fmt.Errorf("%v with %d members", m.gen.state, len(m.members))
	}
	return waiting, err
}

// IsMember reports whether an id is a member's; it is for tests.
func IsMember(m *Membership, id string) bool { return m.byID[id] != nil }
