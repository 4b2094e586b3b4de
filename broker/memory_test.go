package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/meter"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Every size that a small frame may have gets a buffer that is not much larger, and each
// buffer comes back to where others of its size are looked for.
func TestBuffersFitFrames(t *testing.T) {
	var b buffers
	for n := ownFrame + 1; n <= freeRequest; n += 1 + n/1000 {
		size := roundUp(n)
		if size < n || size > n+n/4+1 || b.class(size) == nil {
			t.Fatalf("a frame of %d bytes gets a buffer of %d", n, size)
		}
		if p := b.get(size); cap(p) != size || len(p) != 0 {
			t.Fatalf("a buffer of %d bytes has %d", size, cap(p))
		}
	}
	if b.class(roundUp(freeRequest)) == b.class(roundUp(freeRequest-freeRequest/4)) || b.class(20<<10) != b.class(roundUp(18<<10)) {
		t.Error("different sizes are kept together")
	}
	for _, n := range []int{1, ownFrame, freeRequest + 1, 100 << 20} {
		if b.class(n) != nil {
			t.Errorf("buffers of %d bytes are kept", n)
		}
		b.put(make([]byte, n))
	}
}

// Promise 7: what small requests of all connections hold is bounded, those that arrive
// slowly make room when others wait, and all are served.
func TestSmallRequestsShareTheirMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, conns = 1_500_000, 40
		cfg := DefaultConfig()
		cfg.SmallRequestBytes = 8 << 20
		b := &Broker{clients: meter.NewClients(0), cfg: cfg, metrics: newMetrics(nil), memory: newPool(cfg.RequestMemoryBytes), small: newPool(cfg.SmallRequestBytes), decoding: newPool(cfg.RequestMemoryBytes), conns: newConnections(cfg), log: slog.New(slog.DiscardHandler)}
		var served, most atomic.Int64
		work := func(ctx context.Context, c *conn, r *request) error {
			time.Sleep(time.Second) // the journal's, in fake time
			most.Store(max(most.Load(), b.Memory().Small))
			served.Add(1)
			return errArrived
		}
		b.apis = map[int16]*api{0: {key: kmsg.Produce, raw: work, most: func(c *Config) int { return c.MaxRequestBytes }, max: 20}}
		b.metrics.prepare(b.apis)
		results := make(chan error, conns)
		for i := range conns {
			here, there := net.Pipe()
			c := &conn{b: b, nc: there, caller: newCaller(there, "test")}
			go func() {
				frame := binary.BigEndian.AppendUint32(nil, size)
				frame = append(append(frame, 0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff), make([]byte, size-10)...)
				if i < 5 {
					frame = frame[:size/2] // it never gets on
				}
				_, _ = here.Write(frame)
			}()
			go func() {
				results <- c.read(t.Context())
				here.Close()
				there.Close()
			}()
		}
		for range conns {
			if err := <-results; err != errArrived && !errors.Is(err, errSlow) && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if n := served.Load(); n < conns-6 {
			t.Errorf("%d of %d requests were served", n, conns)
		}
		if n := most.Load(); n > cfg.SmallRequestBytes || n < cfg.SmallRequestBytes/2 {
			t.Errorf("%d of %d bytes were in use", n, cfg.SmallRequestBytes)
		}
		if m := b.Memory(); m != (Memory{}) {
			t.Errorf("afterwards %+v is in use", m)
		}
	})
}

// Clients that stop in the middle of requests hold up nobody for long: when others wait for
// their memory, they are cut off.
func TestStalledRequestsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, stalled = 2_000_000, 4
		cfg := DefaultConfig()
		cfg.SmallRequestBytes = stalled * 2 << 20
		b := &Broker{clients: meter.NewClients(0), cfg: cfg, metrics: newMetrics(nil), memory: newPool(cfg.RequestMemoryBytes), small: newPool(cfg.SmallRequestBytes), decoding: newPool(cfg.RequestMemoryBytes), conns: newConnections(cfg), log: slog.New(slog.DiscardHandler)}
		served := make(chan time.Time, 1)
		work := func(context.Context, *conn, *request) error { served <- time.Now(); return errArrived }
		b.apis = map[int16]*api{0: {key: kmsg.Produce, raw: work, most: func(c *Config) int { return c.MaxRequestBytes }, max: 20}}
		b.metrics.prepare(b.apis)
		results := make(chan error, stalled+1)
		send := func(arrives int) {
			here, there := net.Pipe()
			c := &conn{b: b, nc: there, caller: newCaller(there, "test")}
			frame := binary.BigEndian.AppendUint32(nil, size)
			frame = append(append(frame, 0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff), make([]byte, size-10)...)
			go func() { _, _ = here.Write(frame[:arrives]) }()
			go func() {
				results <- c.read(t.Context())
				here.Close()
				there.Close()
			}()
		}
		for range stalled {
			send(firstPart + 10)
		}
		synctest.Wait()
		began := time.Now()
		send(size + 4)
		if took := (<-served).Sub(began); took > 2*stallFor {
			t.Errorf("a request waited %v for the memory of stalled ones", took)
		}
		slow := 0
		for range stalled + 1 {
			if err := <-results; errors.Is(err, errSlow) {
				slow++
			} else if err != errArrived {
				t.Error(err)
			}
		}
		if slow != stalled || b.Memory() != (Memory{}) {
			t.Errorf("%d of %d were slow, and %+v is in use", slow, stalled, b.Memory())
		}
	})
}
