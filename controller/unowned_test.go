package controller

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestDataWithoutOwner: a partition that has a head and no ownership is given to no one, since
// its newest records may be in journals that no one knows of. That is logged once.
func TestDataWithoutOwner(t *testing.T) {
	inWorld(t, func(w *world) {
		w.three()
		c := w.candidate(3, 13)
		var said bytes.Buffer
		c.log = slog.New(slog.NewTextHandler(&said, nil))
		at := id.Partition{Topic: id.Topic{9}}
		w.txn(metadata.Put(schema.TopicKey("u"), schema.Topic{ID: at.Topic, Partitions: 1}.Encode()), metadata.Put(schema.HeadKey(at), new(schema.Head).Encode()))
		seen := func() bool { _, ok := c.deps.View.Topic("u"); return ok }
		w.within(time.Second, "seen", seen)
		for range 3 {
			c.assignPartitions(w.ctx, c.picture())
		}
		if kvs, _, err := w.store.List(w.ctx, schema.PrefixOwners); err != nil || len(kvs) > 0 {
			t.Errorf("it was given away: %v, %v", kvs, err)
		}
		if n := strings.Count(said.String(), "no owner is known"); n != 1 {
			t.Errorf("it was logged %d times", n)
		}
	})
}
