package schema

import (
	"context"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"varve/internal/id"
	"varve/metadata"
)

var somePartition = id.Partition{Topic: id.Topic{0xab, 15: 1}, Index: 17}

// writeHead stores a head in place of another, and reads it back.
func writeHead(t *testing.T, store metadata.Store, s StoredHead, h *Head) StoredHead {
	t.Helper()
	rev, err := store.Txn(t.Context(), s.Guards(), s.Ops(h)...)
	if err != nil {
		t.Fatal(err)
	}
	now := s.Stored(h, rev)
	if read, err := GetHead(t.Context(), store, s.Partition); err != nil || !reflect.DeepEqual(read, now) {
		t.Fatalf("read %+v, %v, want %+v", read, err, now)
	}
	return now
}

func TestHeadIsOfTwoKeys(t *testing.T) {
	store := metadata.NewMemory().Open()
	defer store.Close()
	if _, err := GetHead(t.Context(), store, somePartition); !errors.Is(err, metadata.ErrNotFound) {
		t.Fatalf("a head that isn't there: %v", err)
	}
	first := sampleHead()
	first.Ownership = sampleOwnership
	old := writeHead(t, store, StoredHead{Partition: somePartition}, first)

	// What the owner stores leaves the ownership alone.
	uploaded := *first
	uploaded.TieredEnd++
	now := writeHead(t, store, old, &uploaded)
	kv, err := store.Get(t.Context(), OwnerKey(somePartition))
	if err != nil || kv.Mod != old.Rev() || now.Rev() <= old.Rev() {
		t.Fatalf("ownership changed at %d (%v), the heads at %d and %d", kv.Mod, err, old.Rev(), now.Rev())
	}

	// A new owner needs to change the ownership only, and refuses all that the old one writes.
	own := now.Head.Ownership
	own.Give(9, 3)
	if _, err := store.Txn(t.Context(), []metadata.Guard{{Key: OwnerKey(somePartition), Mod: kv.Mod}}, metadata.Put(OwnerKey(somePartition), own.Encode())); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Txn(t.Context(), now.Guards(), now.Ops(&uploaded)...); !errors.Is(err, metadata.ErrConflict) {
		t.Fatalf("a former owner's write: %v", err)
	}
	all, err := ListHeads(t.Context(), store, &somePartition.Topic, func(key string, err error) { t.Errorf("%s: %v", key, err) })
	if h := all[somePartition].Head; err != nil || len(all) != 1 || h.Owner != 9 || h.Epoch != 6 || h.TieredEnd != uploaded.TieredEnd {
		t.Fatalf("%+v, %v", all, err)
	}
}

// Two owners never store the same value: a writer that looks whether its own is there, after
// an answer was lost, can't take another's for it.
func TestHeadsTellTheirWritersApart(t *testing.T) {
	h := sampleHead()
	mine := string(h.Encode())
	h.Give(9, 3)
	if mine == string(h.Encode()) {
		t.Fatal("the next owner's value is the same")
	}
}

func TestHeadsThatCannotBeDecoded(t *testing.T) {
	store := metadata.NewMemory().Open()
	defer store.Close()
	good := writeHead(t, store, StoredHead{Partition: somePartition}, sampleHead())
	bad := id.Partition{Topic: somePartition.Topic, Index: 18}
	_, err := store.Txn(t.Context(), nil, metadata.Put(OwnerKey(bad), []byte{99}), metadata.Put(TopicHeads(bad.Topic)+"x", nil))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	all, err := ListHeads(t.Context(), store, nil, func(key string, err error) { told[key] = err != nil })
	if err != nil || !reflect.DeepEqual(all, map[id.Partition]StoredHead{somePartition: good}) {
		t.Fatalf("%+v, %v", all, err)
	}
	if want := map[string]bool{OwnerKey(bad): true, TopicHeads(bad.Topic) + "x": true}; !reflect.DeepEqual(told, want) {
		t.Fatalf("told of %v, want %v", told, want)
	}
	if _, err := GetHead(t.Context(), store, bad); !errors.As(err, new(*ValueError)) {
		t.Fatalf("got %v", err)
	}
}

// The value that an earlier build wrote for sampleHead with sampleOwnership.
const headOfLayout1 = "0107040a14880e020608a40d070aec0e0208000aec0e0309802014b0098c01808080808040020601b0099003d00fc70108009a018080808040a001070200c801890e0008020a0810"

func wholeHead(t *testing.T) []byte {
	b, err := hex.DecodeString(headOfLayout1)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// contested is a store in which another agent writes just before the first transaction.
type contested struct {
	metadata.Store
	before func()
}

func (c *contested) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	if f := c.before; f != nil {
		c.before = nil
		f()
	}
	return c.Store.Txn(ctx, guards, ops...)
}

func TestHeadsOfLayout1AreSplit(t *testing.T) {
	store := metadata.NewMemory().Open()
	defer store.Close()
	const heads = 3 * splitAtOnce / 2
	at := func(i int32) id.Partition { return id.Partition{Topic: somePartition.Topic, Index: i} }
	put := func(i int32, b []byte) {
		if _, err := store.Txn(t.Context(), nil, metadata.Put(HeadKey(at(i)), b)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range int32(heads) {
		put(i, wholeHead(t))
	}
	if _, err := DecodeHead(wholeHead(t)); err == nil {
		t.Fatal("a head of layout 1 was read as one of layout 2")
	}
	said := 0
	c := &contested{store, func() { put(5, wholeHead(t)) }}
	if err := SplitHeads(t.Context(), c, func(done, all int) { said++ }, noBad(t)); err != nil || said == 0 {
		t.Fatalf("told %d times, %v", said, err)
	}
	all, err := ListHeads(t.Context(), store, nil, func(key string, err error) { t.Errorf("%s: %v", key, err) })
	if err != nil || len(all) != heads {
		t.Fatalf("%d heads, %v", len(all), err)
	}
	want := sampleHead()
	want.Ownership = sampleOwnership
	for p, s := range all {
		if !reflect.DeepEqual(s.Head, want) {
			t.Fatalf("%v became %+v", p, s.Head)
		}
	}
	if err := SplitHeads(t.Context(), store, func(int, int) { t.Error("split again") }, noBad(t)); err != nil {
		t.Fatal(err)
	}
}

func noBad(t *testing.T) func(string, error) {
	return func(key string, err error) { t.Errorf("%s: %v", key, err) }
}

// TestHeadsThatCantBeSplit: a damaged head, and one of a partition that has an ownership already,
// stay as they are. They keep no other from being split.
func TestHeadsThatCantBeSplit(t *testing.T) {
	store := metadata.NewMemory().Open()
	defer store.Close()
	at := func(i int32) id.Partition { return id.Partition{Topic: somePartition.Topic, Index: i} }
	_, err := store.Txn(t.Context(), nil, metadata.Put(HeadKey(at(0)), wholeHead(t)), metadata.Put(HeadKey(at(1)), []byte{1, 2}),
		metadata.Put(HeadKey(at(2)), wholeHead(t)), metadata.Put(OwnerKey(at(2)), sampleOwnership.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	told := map[string]bool{}
	err = SplitHeads(ctx, store, func(int, int) {}, func(key string, err error) { told[key] = err != nil })
	if err != nil || len(told) != 2 || !told[HeadKey(at(1))] || !told[HeadKey(at(2))] {
		t.Errorf("left are %v, %v", told, err)
	}
	if s, err := GetHead(t.Context(), store, at(0)); err != nil || s.Head.Owner != sampleOwnership.Owner {
		t.Errorf("%+v, %v", s.Head, err)
	}
	if _, err := GetHead(t.Context(), store, at(1)); !errors.As(err, new(*ValueError)) {
		t.Errorf("the owner of a damaged head is known: %v", err)
	}
}

// between is a store in which another agent is quicker: what it does, it does after the first list.
type between struct {
	metadata.Store
	other func()
}

func (b *between) List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error) {
	kvs, rev, err := b.Store.List(ctx, prefix)
	if f := b.other; f != nil {
		b.other = nil
		f()
	}
	return kvs, rev, err
}

// TestHeadsAreSplitByTwo: what another agent splits meanwhile isn't called bad.
func TestHeadsAreSplitByTwo(t *testing.T) {
	store := metadata.NewMemory().Open()
	defer store.Close()
	if _, err := store.Txn(t.Context(), nil, metadata.Put(HeadKey(somePartition), wholeHead(t))); err != nil {
		t.Fatal(err)
	}
	split := func(store metadata.Store) {
		if err := SplitHeads(t.Context(), store, func(int, int) {}, noBad(t)); err != nil {
			t.Fatal(err)
		}
	}
	split(&between{store, func() { split(store) }})
}

func TestClusterOfLayout1IsRead(t *testing.T) {
	b, err := hex.DecodeString("0103616263f6b183c59868")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := DecodeCluster(b); err != nil || c.Level != 1 || c.ID != "abc" {
		t.Fatalf("%+v, %v", c, err)
	}
}
