package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"varve/meter"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Who is cut off isn't waited for: an answer that nothing makes ready, as of a journal
// without quorum, would hold up a stop until the client's patience ends.
func TestCutOffEndsWaitingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConnections(DefaultConfig())
		here, there := net.Pipe()
		defer here.Close()
		c := &conn{b: &Broker{clients: meter.NewClients(0), cfg: DefaultConfig(), metrics: newMetrics(nil)}, nc: there, caller: newCaller(there, "test"), admission: &admission{raw: there}, gone: make(chan struct{}), wake: make(chan struct{}, 1), out: make(chan *response, 3)}
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

// A client may be as slow as min_request_rate: what counts is that its request gets on. One
// that stops in the middle is cut off.
func TestSlowRequestsArriveStoppedOnesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 900_000
		cfg := DefaultConfig()
		send := func(rate, stopAt int) (took time.Duration, err error) {
			here, there := net.Pipe()
			defer here.Close()
			b := &Broker{clients: meter.NewClients(0), cfg: cfg, metrics: newMetrics(nil), memory: newPool(cfg.RequestMemoryBytes), small: newPool(cfg.SmallRequestBytes), log: slog.New(slog.DiscardHandler)}
			b.apis = map[int16]*api{0: {key: kmsg.Produce, raw: func(context.Context, *conn, *request) error { return errArrived }, most: func(c *Config) int { return c.MaxRequestBytes }, max: 20}}
			b.metrics.prepare(b.apis)
			c := &conn{b: b, nc: there, caller: newCaller(there, "test"), admission: &admission{raw: there}}
			go func() {
				frame := append([]byte{0, 0xd, 0xbb, 0xa0, 0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff}, make([]byte, size-10)...)
				for at := 0; at < stopAt; at += rate {
					if _, err := here.Write(frame[at:min(at+rate, len(frame))]); err != nil {
						return
					}
					time.Sleep(time.Second) // a client's rate, in fake time
				}
			}()
			began := time.Now()
			err = c.read(t.Context())
			there.Close()
			return time.Since(began), err
		}
		if took, err := send(22<<10, size); err != errArrived || took < 35*time.Second {
			t.Errorf("at 22 KiB/s: %v after %v", err, took)
		}
		if took, err := send(3<<10, size); !errors.Is(err, errSlow) {
			t.Errorf("at 3 KiB/s: %v after %v", err, took)
		}
		if took, err := send(size/2, size/2); !errors.Is(err, errSlow) || took > cfg.RequestTimeout+2*time.Second {
			t.Errorf("stopped in the middle: %v after %v", err, took)
		}
	})
}

var errArrived = errors.New("it arrived")

// One client that is wrong again and again doesn't fill the log, and keeps no other out.
func TestBadClientsAreLoggedOnceAMinute(t *testing.T) {
	m := newMetrics(nil)
	q := m.quiet("connection closed", 1)
	now := time.Unix(1_790_000_000, 0)
	said := 0
	for range 1000 {
		if unsaid, ok := q.say("10.0.0.1", "", now); ok {
			said++
			if unsaid != 0 {
				t.Errorf("%d were not said", unsaid)
			}
		}
		now = now.Add(time.Millisecond)
	}
	if said != 1 {
		t.Errorf("%d lines about one address", said)
	}
	if _, ok := q.say("10.0.0.2", "", now); !ok {
		t.Error("another address is not logged")
	}
	if unsaid, ok := q.say("10.0.0.1", "", now.Add(time.Hour)); !ok || unsaid != 999 {
		t.Errorf("an hour later: %d unsaid, %v", unsaid, ok)
	}
	for i := range 5 * quietSources {
		q.say(fmt.Sprint("10.1.", i), "", now)
	}
	if n := len(q.mu.by); n > quietSources || n != q.mu.order.Len() {
		t.Errorf("%d addresses are remembered", n)
	}
}
