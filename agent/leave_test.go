package agent

import (
	"context"
	"testing"
)

// TestAllStopTogether: an agent that stops doesn't wait until others take its coordinator
// slots, if the last of them has begun to stop as well.
func TestAllStopTogether(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	two := w.beside(2)
	others := func() bool { return len(one.serves.mover.Heirs()) > 0 }
	one.until("the other can take slots", others)
	one.until("it has slots", func() bool {
		for _, o := range one.view.Slots() {
			if o.Incarnation == one.inc {
				return true
			}
		}
		return false
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		one.serves.slots.await(ctx, others)
		close(ended)
	}()
	if err := two.reg.leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-ended
	if ctx.Err() != nil {
		t.Error("it waited though no other agent can take its slots")
	}
}
