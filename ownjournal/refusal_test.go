package ownjournal

import (
	"io"
	"syscall"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
)

// TestRefusedConnectionIsNoRefusal: a store whose agent doesn't listen yet is asked again in
// a moment, and at once when the agent has registered anew; one that is full isn't.
func TestRefusedConnectionIsNoRefusal(t *testing.T) {
	const inc = id.Incarnation(7)
	own, now := id.Store{1}, time.Unix(1e9, 0)
	live := cluster.Live{Broker: 1, Agent: schema.Agent{Incarnation: inc, Store: own}}
	for name, c := range map[string]struct {
		r    refusal
		want bool
	}{
		"full":                       {refusal{now, inc, io.ErrShortWrite}, true},
		"full, long ago":             {refusal{now.Add(-shunFor), inc, io.ErrShortWrite}, false},
		"full, of its former self":   {refusal{now, inc - 1, io.ErrShortWrite}, false},
		"refused now":                {refusal{now.Add(time.Hour), inc, syscall.ECONNREFUSED}, true},
		"refused before":             {refusal{now.Add(-time.Second), inc, syscall.ECONNREFUSED}, false},
		"refused, and is back since": {refusal{now.Add(time.Hour), inc - 1, syscall.ECONNREFUSED}, false},
	} {
		s := &snapshot{refused: map[id.Store]refusal{own: c.r}}
		if got := s.shuns(&live, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	other := cluster.Live{Broker: 9, Agent: schema.Agent{Store: id.Store{9}}}
	if new(snapshot).shuns(&other, now) {
		t.Error("one that nothing is known of")
	}
}
