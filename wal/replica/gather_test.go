package replica

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"varve/internal/id"
	"varve/wal"
)

// TestGather: an adopted tail is read completely from one live store that has all of it. What a
// store returned before it failed is not used, nor is anything after the end of the journal.
func TestGather(t *testing.T) {
	short, rotten, whole := id.Store{1}, id.Store{2}, id.Store{3}
	entry := func(n uint64) *wal.Entry {
		e := &wal.Entry{Number: n, Pos: wal.Pos(1000 * n)}
		for i := range 2 {
			e.Records = append(e.Records, wal.Record{Partition: id.Partition{Index: int32(i)}, Base: int64(n), BodyAt: uint32(i)})
		}
		return e
	}
	peers := &shelf{last: map[id.Store]uint64{short: 2, rotten: 4, whole: 4}, rotten: rotten, all: []*wal.Entry{entry(1), entry(2), entry(3), entry(4)}}
	j := id.Journal{Writer: 7, Seq: 1}
	gather := func(end uint64, dead id.Store, keepers ...id.Store) (id.Store, string, error) {
		tails := NewTails(disk(t), peers, time.Now)
		from, all, err := tails.Gather(t.Context(), j, end, keepers, func(s id.Store) bool { return s != dead }, func(r *wal.Record) bool { return r.Partition.Index == 1 })
		text := ""
		for _, b := range all {
			text += fmt.Sprint(b.Base, "@", uint64(b.At), " ")
		}
		return from, text, err
	}
	if from, got, err := gather(3, id.Store{}, short, whole); err != nil || from != whole || got != "1@1001 2@2001 3@3001 " {
		t.Errorf("from %v: %s, %v", from, got, err)
	}
	if from, got, err := gather(3, id.Store{}, rotten, whole); err != nil || from != whole || got != "1@1001 2@2001 3@3001 " {
		t.Errorf("though one fails, from %v: %s, %v", from, got, err)
	}
	for name, keepers := range map[string][]id.Store{"none has all of it": {short}, "the only one fails": {rotten}} {
		if _, got, err := gather(3, id.Store{}, keepers...); err == nil || got != "" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, _, err := gather(3, id.Store{}, rotten); !errors.Is(err, errDark) {
		t.Errorf("why the only one fails is not said: %v", err)
	}
	if _, got, err := gather(3, whole, whole); err == nil {
		t.Errorf("a dead one was asked: %s", got)
	}
}

// TestGatherElsewhere: if this disk has all of the journal but can't be read, another store is
// asked.
func TestGatherElsewhere(t *testing.T) {
	own, other := disk(t), id.Store{3}
	j := id.Journal{Writer: 7, Seq: 1}
	if err := own.Join(j, wal.Membership{FileBytes: own.FileBytes()}); err != nil {
		t.Fatal(err)
	}
	if _, err := own.Follow(j); err != nil {
		t.Fatal(err)
	}
	live := func(id.Store) bool { return true }
	for _, rotten := range []id.Store{{9}, own.ID()} {
		peers := &shelf{last: map[id.Store]uint64{own.ID(): 0, other: 0}, rotten: rotten}
		want := own.ID()
		if rotten == own.ID() {
			want = other
		}
		from, _, err := NewTails(own, peers, time.Now).Gather(t.Context(), j, 0, []id.Store{own.ID(), other}, live, func(*wal.Record) bool { return true })
		if err != nil || from != want {
			t.Errorf("%v can't be read: from %v, want %v: %v", rotten, from, want, err)
		}
	}
}
