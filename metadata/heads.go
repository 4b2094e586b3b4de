package metadata

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
)

// StoredHead is a partition's head as the store had it: what writes are guarded by, and which
// of its two keys they have to change.
//
// Whoever writes compares the ownership, so that what a former owner still tries is refused.
// Whoever reads takes the ownership first and the head's own key after it: then the head has
// all that owners before that one did. The other way round it may lack an upload of an owner
// whose journals the chain no longer names (docs/spec, "tier before owner").
type StoredHead struct {
	Partition id.Partition
	Head      *Head
	owner     Revision // of the ownership; zero: there is none
	head      Revision // of the head's own key; zero: it was not written yet
	ownership string   // as it was encoded
}

// Rev is the newest revision at which the head changed; zero: it isn't stored.
func (s StoredHead) Rev() Revision { return max(s.owner, s.head) }

// Guards are the conditions under which nothing has changed.
func (s StoredHead) Guards() []Guard {
	return []Guard{{Key: OwnerKey(s.Partition), Mod: s.owner}, {Key: HeadKey(s.Partition), Mod: s.head}}
}

// Ops are the writes that store h in its place.
func (s StoredHead) Ops(h *Head) []Op {
	ops := []Op{Put(HeadKey(s.Partition), h.Encode())}
	if o := h.Ownership.Encode(); string(o) != s.ownership {
		ops = append(ops, Put(OwnerKey(s.Partition), o))
	}
	return ops
}

// Stored returns what is stored after Ops of h were applied at rev.
func (s StoredHead) Stored(h *Head, rev Revision) StoredHead {
	s.Head, s.head = h, rev
	if o := h.Ownership.Encode(); string(o) != s.ownership {
		s.owner, s.ownership = rev, string(o)
	}
	return s
}

// Reader reads a key (Store).
type Reader interface {
	Get(ctx context.Context, key string) (KV, error)
}

// GetHead reads a partition's head, or ErrNotFound.
func GetHead(ctx context.Context, r Reader, p id.Partition) (StoredHead, error) {
	owner, err := r.Get(ctx, OwnerKey(p))
	if err != nil {
		return StoredHead{}, err
	}
	head, err := r.Get(ctx, HeadKey(p))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return StoredHead{}, err
	}
	return joinHead(p, owner, head)
}

// ListHeads reads the heads of all partitions, or of one topic's, in no order. It calls bad
// for each that can't be decoded.
func ListHeads(ctx context.Context, store Store, topic *id.Topic, bad func(key string, err error)) (map[id.Partition]StoredHead, error) {
	owners, heads := PrefixOwners, PrefixHeads
	if topic != nil {
		owners, heads = TopicOwners(*topic), TopicHeads(*topic)
	}
	first, _, err := store.List(ctx, owners)
	if err != nil {
		return nil, err
	}
	second, _, err := store.List(ctx, heads)
	if err != nil {
		return nil, err
	}
	own := make(map[id.Partition]KV, len(second))
	for _, kv := range second {
		p, err := ParseHeadKey(kv.Key)
		if err != nil {
			bad(kv.Key, err)
			continue
		}
		own[p] = kv
	}
	all := make(map[id.Partition]StoredHead, len(first))
	for _, kv := range first {
		p, err := ParseOwnerKey(kv.Key)
		var s StoredHead
		if err == nil {
			s, err = joinHead(p, kv, own[p])
		}
		if err != nil {
			bad(kv.Key, err)
			continue
		}
		all[p] = s
	}
	return all, nil
}

// joinHead makes a head of its two keys. The head's own may be absent.
func joinHead(p id.Partition, owner, head KV) (StoredHead, error) {
	s := StoredHead{Partition: p, Head: new(Head), owner: owner.Mod, head: head.Mod, ownership: string(owner.Value)}
	o, err := DecodeOwnership(owner.Value)
	if err == nil && head.Mod != 0 {
		s.Head, err = DecodeHead(head.Value)
	}
	if err != nil {
		return s, fmt.Errorf("head of %v: %w", p, err)
	}
	s.Head.Ownership = o
	return s, nil
}
