package broker

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Who is cut off isn't waited for: an answer that nothing makes ready, as of a journal
// without quorum, would hold up a stop until the client's patience ends.
func TestCutOffEndsWaitingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConnections(DefaultConfig())
		here, there := net.Pipe()
		defer here.Close()
		c := &conn{b: &Broker{cfg: DefaultConfig(), metrics: newMetrics(nil)}, nc: there, gone: make(chan struct{}), wake: make(chan struct{}, 1), out: make(chan *response, 3)}
		if !cs.add(c) {
			t.Fatal("no room")
		}
		for range 3 {
			r := &response{deadline: time.Now().Add(maxWait)}
			r.expire = func() { c.finish(r) }
			if err := c.queue(r); err != nil {
				t.Fatal(err)
			}
		}
		close(c.out)
		began := time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = c.write()
		}()
		synctest.Wait()
		cs.closeAll()
		cs.closeAll() // does nothing more
		<-ended
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}
