package replica

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
)

// TestProbe: a peer finds an agent that can't be reached from here. It reports soon if it can't
// reach the agent either, or doesn't know it.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		one, via, about := c.all[0].node, c.all[1], c.all[2]
		if got, err := one.Probe(t.Context(), via.id(), about.id()); err != nil || got != about.inc {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := one.Probe(t.Context(), one.own, about.id()); err != nil || got != about.inc {
			t.Errorf("from here: %v, %v", got, err)
		}
		if got, err := one.Probe(t.Context(), via.id(), id.Store{1}); err == nil {
			t.Errorf("a store that nobody has: %v", got)
		}
		resume := c.net.stall(about.addr)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if got, err := one.Probe(ctx, via.id(), about.id()); err == nil || time.Since(began) > probePatience {
			t.Errorf("a silent one: %v, %v, after %v", got, err, time.Since(began))
		}
		resume()
	})
}
