package schema

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/metadata"
)

// StoredHead is a partition's head as the store had it: what writes are guarded by, and which
// of its two keys they have to change.
//
// Every write compares the ownership, so that a former owner's writes are refused. Every read
// reads the ownership first and the head's own key after it: then the head includes everything
// that earlier owners stored. In the other order it may lack an upload of an owner whose
// journals the chain no longer names (docs/spec, "tier before owner").
type StoredHead struct {
	Partition id.Partition
	Head      *Head
	owner     metadata.Revision // of the ownership; zero: there is none
	head      metadata.Revision // of the head's own key; zero: it was not written yet
	ownership string            // as it was encoded
}

// Rev is the newest revision at which the head changed; zero: it isn't stored.
func (s StoredHead) Rev() metadata.Revision { return max(s.owner, s.head) }

// Guards hold as long as neither key has changed.
func (s StoredHead) Guards() []metadata.Guard {
	return []metadata.Guard{{Key: OwnerKey(s.Partition), Mod: s.owner}, {Key: HeadKey(s.Partition), Mod: s.head}}
}

// Ops returns the writes that replace it by h.
func (s StoredHead) Ops(h *Head) []metadata.Op {
	ops := []metadata.Op{metadata.Put(HeadKey(s.Partition), h.Encode())}
	if o := h.Ownership.Encode(); string(o) != s.ownership {
		ops = append(ops, metadata.Put(OwnerKey(s.Partition), o))
	}
	return ops
}

// Stored returns the stored head after Ops(h) was applied at rev.
func (s StoredHead) Stored(h *Head, rev metadata.Revision) StoredHead {
	s.Head, s.head = h, rev
	if o := h.Ownership.Encode(); string(o) != s.ownership {
		s.owner, s.ownership = rev, string(o)
	}
	return s
}

// Reader reads a key (Store).
type Reader interface {
	Get(ctx context.Context, key string) (metadata.KV, error)
}

// StoredOwnership is an ownership as the store had it. A zero Mod means that there is none.
type StoredOwnership struct {
	Ownership
	Mod metadata.Revision
}

// DecodeStoredOwnership reads the value of an OwnerKey.
func DecodeStoredOwnership(kv metadata.KV) (StoredOwnership, error) {
	o, err := DecodeOwnership(kv.Value)
	return StoredOwnership{o, kv.Mod}, err
}

// GetHead reads a partition's head, or ErrNotFound.
func GetHead(ctx context.Context, r Reader, p id.Partition) (StoredHead, error) {
	kv, err := r.Get(ctx, OwnerKey(p))
	if err != nil {
		return StoredHead{}, err
	}
	o, err := DecodeStoredOwnership(kv)
	if err != nil {
		return StoredHead{Partition: p, owner: kv.Mod}, fmt.Errorf("head of %v: %w", p, err)
	}
	kv, err = r.Get(ctx, HeadKey(p))
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return StoredHead{}, err
	}
	return joinHead(p, o, kv)
}

// ListHeads reads the heads of all partitions, or of one topic's, in no order. It calls bad
// for each that can't be decoded.
func ListHeads(ctx context.Context, store metadata.Store, topic *id.Topic, bad func(key string, err error)) (map[id.Partition]StoredHead, error) {
	owners, heads := PrefixOwners, PrefixHeads
	if topic != nil {
		owners, heads = TopicOwners(*topic), TopicHeads(*topic)
	}
	kvs, _, err := store.List(ctx, owners)
	if err != nil {
		return nil, err
	}
	owned := make(map[id.Partition]StoredOwnership, len(kvs))
	for _, kv := range kvs {
		p, err := ParseOwnerKey(kv.Key)
		if err != nil {
			bad(kv.Key, err)
			continue
		}
		if owned[p], err = DecodeStoredOwnership(kv); err != nil {
			bad(kv.Key, err)
			delete(owned, p)
		}
	}
	if kvs, _, err = store.List(ctx, heads); err != nil {
		return nil, err
	}
	own := make(map[id.Partition]metadata.KV, len(kvs))
	for _, kv := range kvs {
		p, err := ParseHeadKey(kv.Key)
		if err != nil {
			bad(kv.Key, err)
			continue
		}
		own[p] = kv
	}
	all := make(map[id.Partition]StoredHead, len(owned))
	for p, o := range owned {
		s, err := joinHead(p, o, own[p])
		if err != nil {
			bad(HeadKey(p), err)
			continue
		}
		all[p] = s
	}
	return all, nil
}

// joinHead makes a head of its two keys. The head's own may be absent.
func joinHead(p id.Partition, o StoredOwnership, kv metadata.KV) (StoredHead, error) {
	s := StoredHead{Partition: p, Head: new(Head), owner: o.Mod, head: kv.Mod, ownership: string(o.Encode())}
	if kv.Mod != 0 {
		h, err := DecodeHead(kv.Value)
		if err != nil {
			return s, fmt.Errorf("head of %v: %w", p, err)
		}
		s.Head = h
	}
	s.Head.Ownership = o.Ownership
	return s, nil
}
