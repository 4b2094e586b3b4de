package broker

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"varve/meter"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Promise 7: a client that sends requests and takes no answers makes the broker keep a few of
// these, and not hundreds: an answer may be far larger than its request.
func TestAnswersOfAClientThatReadsNothingAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, requests = 100_000, 2000
		cfg := DefaultConfig()
		b := &Broker{clients: meter.NewClients(0), cfg: cfg, metrics: newMetrics(nil), memory: newPool(cfg.RequestMemoryBytes), small: newPool(cfg.SmallRequestBytes), decoding: newPool(cfg.RequestMemoryBytes), conns: newConnections(cfg), log: slog.New(slog.DiscardHandler)}
		made := 0
		serve := func(context.Context, *caller, kmsg.Request) kmsg.Response {
			made++
			resp := kmsg.NewPtrMetadataResponse()
			name := strings.Repeat("x", size) // stands for all topics of a cluster
			resp.ClusterID = &name
			return resp
		}
		b.apis = map[int16]*api{3: {key: kmsg.Metadata, max: 4, serve: serve}}
		b.metrics.prepare(b.apis)
		here, there := net.Pipe()
		c := newConn(b, there, newCaller(there, "test"), new(Listener))
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.run(t.Context())
		}()
		go func() {
			one := []byte{0, 0, 0, 15, 0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}
			for range requests {
				if _, err := here.Write(one); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if made == 0 {
			t.Fatal("nothing was served")
		}
		if kept := made * size; kept > 8<<20 {
			t.Errorf("%d answers of %d bytes are kept for one connection: %d MiB", made, size, kept>>20)
		}
		here.Close()
		<-done
	})
}
