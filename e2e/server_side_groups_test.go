package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestServerSideGroupsFallBack: a client that wants consumer groups of the new protocol
// and can do the classic one gets on.
func TestServerSideGroupsFallBack(t *testing.T) {
	t.Parallel()
	kafka, http := freeAddr(t), freeAddr(t)
	p := run(t, "dev", "--data", t.TempDir(), "--kafka-listen", kafka, "--http-listen", http)
	awaitPage(t, p, "http://"+http+"/readyz")
	l := newLedger(t, kafka, "classic", 1)
	l.put(10, 100)
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("classic"), kgo.ServerSideBalancer(),
		kgo.Balancers(kgo.RangeBalancer()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for got := 0; got < 10; {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records of 10 came: %v", got, fs.Err())
		}
		got += fs.NumRecords()
	}
}
