package group

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"varve/group/offsets"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// What a group may commit fits into transactions, however large its offsets, and however
// long the names in its keys are.
func TestLargeCommitsFitTransactions(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		d.stop()
		d.cfg.CommitTimeout = 5 * time.Second // the pace of writes takes some
		d.start()
		d.topics["t"] = id.Topic{1}
		const partitions = 29_000
		for from := 0; from < partitions; from += 5_000 {
			c := offsets.CommitTopic{Topic: "t"}
			for p := from; p < min(partitions, from+5_000); p++ {
				c.Partitions = append(c.Partitions, offsets.CommitPartition{Partition: int32(p), OffsetCommit: schema.OffsetCommit{Offset: math.MaxInt64, LeaderEpoch: math.MaxInt32, Topic: id.Topic{1}}})
			}
			r := d.Commit(t.Context(), "large", Commit{Generation: -1, Retention: time.Hour, Topics: []offsets.CommitTopic{c}})
			want(t, "commit", r.Err, nil)
			for _, err := range r.Errs[0] {
				want(t, "commit of a partition", err, nil)
			}
		}
		long := strings.Repeat("ü", 16_000) // a byte becomes three in a key
		var topics []offsets.CommitTopic
		for n := range 100 {
			topics = append(topics, commitOf("", -1, fmt.Sprint("t", n), int64(n)).Topics...)
		}
		want(t, "commit of a group with a long name", d.Commit(t.Context(), long, Commit{Generation: -1, Topics: topics}).Err, nil)
		d.restart()
		f, err := d.Fetch(t.Context(), "large", nil, true)
		if err != nil || len(f[0].Partitions) != partitions || f[0].Partitions[partitions-1].Offset != math.MaxInt64 {
			t.Errorf("%v", err)
		}
		if f, err = d.Fetch(t.Context(), long, nil, true); err != nil || len(f) != 100 {
			t.Errorf("%d topics, %v", len(f), err)
		}
	})
}

// A group that can't be decoded isn't read all the time.
func TestUndecodableGroupIsReadRarely(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		_, err := d.store.Txn(t.Context(), nil, metadata.Put(schema.GroupKey("bad"), []byte("what is this?")))
		want(t, "put", err, nil)
		d.stop()
		r := counted(d.store)
		log := slog.New(slog.DiscardHandler)
		d.writer = metadata.NewWriter(d.store, metadata.DefaultWriterConfig(), log, nil)
		d.Groups = Open(d.cfg, r, d.writer, d.topics, nil, log, nil)
		d.OwnSlots(allSlots())
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n, most := r.gets.Load(), int64(24*time.Hour/d.cfg.RetentionCheck); int64(n) > most {
			t.Errorf("read %d times a day, at most %d are wanted", n, most)
		}
	})
}
