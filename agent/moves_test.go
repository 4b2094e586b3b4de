package agent

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/id"
	"varve/internal/vfs"
)

// beside starts another agent of the same cluster on a disk of its own.
func (w *world) beside(broker int32) *running {
	other := *w
	other.fs = vfs.NewMemory()
	other.change = func(c *Config) { c.BrokerID = broker }
	return other.start()
}

// patience bounds the wait for what takes a moment, on a machine that does much else, too.
const patience = 2 * time.Minute

// until waits for something that changes with the view.
func (r *running) until(what string, ok func() bool) {
	r.t.Helper()
	late := time.After(patience)
	for !ok() {
		changed := r.view.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-late:
			r.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// TestMovesAreMade: a reassignment makes its first replica's agent the owner of the
// partitions, records and producers go on, and the wish is gone afterwards (KIP-455).
func TestMovesAreMade(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	const partitions = 40
	adm := kadm.NewClient(one.client())
	if _, err := adm.CreateTopic(t.Context(), partitions, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	one.produce("t", 0, 200)
	two := w.beside(2)
	topic, _ := one.view.Topic("t")
	var req kadm.AlterPartitionAssignmentsReq
	for i := range int32(partitions) {
		req.Assign("t", i, []int32{2, 1})
	}
	began := time.Now()
	resp, err := adm.AlterPartitionAssignments(t.Context(), req)
	if err != nil || resp.Error() != nil {
		t.Fatal(err, resp.Error())
	}
	cl := one.client(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for i := 200; i < 400; i++ { // while they move
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint("record ", i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	one.until("moved", func() bool {
		for i := range int32(partitions) {
			if o, ok := one.view.Owner(id.Partition{Topic: topic.ID, Index: i}); !ok || o.Broker != 2 {
				return false
			}
		}
		return len(one.view.Moves()) == 0
	})
	t.Logf("%d partitions moved within %v", partitions, time.Since(began))
	two.consume("t", 400)
	if r := one.reassignments(nil); len(r) != 0 {
		t.Errorf("still listed: %+v", r)
	}
}

// TestNothingToCancel: taking back a move that was made already is Kafka's error.
func TestNothingToCancel(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	w.beside(2)
	adm := kadm.NewClient(one.client())
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	topic, _ := one.view.Topic("t")
	at := id.Partition{Topic: topic.ID}
	o, _ := one.view.Owner(at)
	if err := one.editor.ChangeMoves(context.Background(), map[id.Partition]id.Broker{at: 3 - o.Broker}); err != nil {
		t.Fatal(err)
	}
	one.until("moved", func() bool { n, ok := one.view.Owner(at); return ok && n.Broker != o.Broker })
	var null kadm.AlterPartitionAssignmentsReq
	null.CancelAssign("t", 0)
	one.until("the wish is gone", func() bool { return len(one.view.Moves()) == 0 })
	resp, err := adm.AlterPartitionAssignments(t.Context(), null)
	if err != nil {
		t.Fatal(err)
	}
	if r := resp["t"][0]; !errors.Is(r.Err, kerr.NoReassignmentInProgress) {
		t.Errorf("nothing moves, yet cancelling says %+v", r)
	}
}
