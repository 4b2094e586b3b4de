package cluster

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestAwaitSeesSilentChanges: a change that readers don't see, such as an owner's of its chain,
// ends a wait for its revision as any other does.
func TestAwaitSeesSilentChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := metadata.NewMemory().Open()
		ctx, cancel := context.WithCancel(t.Context())
		v := NewView(store, slog.New(slog.DiscardHandler))
		go v.Run(ctx)
		defer func() { cancel(); store.Close(); synctest.Wait() }()
		<-v.Ready()
		key := schema.OwnerKey(id.Partition{Topic: id.Topic{1}})
		put := func(start int64) metadata.Revision {
			o := schema.Ownership{Owner: 1, Broker: 1, Epoch: 1, Chain: []schema.Link{{Writer: 1, Epoch: 1, Start: start}}}
			rev, err := store.Txn(ctx, nil, metadata.Put(key, o.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			return rev
		}
		rev := put(schema.StartUnknown)
		ended := make(chan error, 1)
		go func() {
			patient, over := context.WithTimeout(ctx, time.Minute)
			defer over()
			ended <- v.Await(patient, schema.PrefixOwners, rev+1)
		}()
		synctest.Wait()
		if now := put(5); now != rev+1 {
			t.Fatalf("revision %d after %d", now, rev)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
