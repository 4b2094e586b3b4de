package offsets

import (
	"fmt"
	"maps"
	"slices"

	"varve/metadata"
	"varve/metadata/schema"
)

// Bounds of one transaction, well within one of the metadata store.
const (
	maxStoreShards = 64
	maxStoreBytes  = 768 << 10
)

// Changed reports whether there are changes to be stored, or being stored.
func (o *Offsets) Changed() bool { return len(o.dirty) > 0 || len(o.flight) > 0 }

// Cleared reports whether what Store returned last, if it is stored, leaves no key in the
// store that another coordinator could mistake for offsets. It is asked when all offsets
// are gone.
func (o *Offsets) Cleared() bool {
	for _, t := range o.topics {
		if t.mixed {
			return false
		}
	}
	return len(o.dirty) == 0
}

// Unstored returns the shards with changes that are not durable.
func (o *Offsets) Unstored() Shards {
	all := Shards{}
	for name, t := range o.topics {
		for n, p := range t.shards {
			if len(p.staged) > 0 || len(p.flight) > 0 {
				all[Shard{name, n}] = struct{}{}
			}
		}
	}
	return all
}

// Await has Stored return a waiter once for each of these shards, which must have changes: when
// all those of today are durable.
func (o *Offsets) Await(shards Shards, w Waiter) {
	for at := range shards {
		p := o.part(at)
		if len(p.staged) > 0 {
			p.stagedWaits = append(p.stagedWaits, w)
		} else {
			p.flightWaits = append(p.flightWaits, w)
		}
	}
}

// Store returns what of the changes is to be stored next, in a transaction of which size
// bytes are taken already. Stored must be called when it is durable, and before that Store
// must not be called again.
func (o *Offsets) Store(group string, size int) (ops []metadata.Op) {
	for len(o.dirty) > 0 && len(o.flight) < maxStoreShards {
		at := o.dirty[0]
		p := o.part(at)
		n := maxValueBytes + p.size + 2*len(schema.OffsetsShardKey(group, at.Topic, at.N)) // a guard, and a write
		if size += n; size > maxStoreBytes && size > n {
			break
		}
		o.dirty = o.dirty[1:]
		o.flight = append(o.flight, at)
		p.queued = false
		p.flight, p.staged = p.staged, nil
		p.flightWaits, p.stagedWaits = p.stagedWaits, nil
	}
	for _, at := range slices.SortedFunc(slices.Values(o.flight), Shard.Compare) {
		key := schema.OffsetsShardKey(group, at.Topic, at.N)
		kept := o.topics[at.Topic].mixed && !slices.Contains(o.flight, Shard{Topic: at.Topic})
		if value := o.part(at).wanted(); len(value) > 0 || kept {
			ops = append(ops, metadata.Put(key, value.Encode()))
		} else {
			ops = append(ops, metadata.Delete(key))
		}
	}
	return ops
}

// Stored notes that what Store returned is durable. It returns the waiters, once for each
// of their shards.
func (o *Offsets) Stored() (waiters []Waiter) {
	shards := o.flight
	o.flight = nil
	for _, at := range shards {
		p := o.part(at)
		p.apply()
		waiters = append(waiters, p.flightWaits...)
		p.flight, p.flightWaits = nil, nil
		o.unmix(at)
	}
	for _, at := range shards {
		o.tidy(at)
	}
	return waiters
}

// unmix is called for each shard that was stored.
func (o *Offsets) unmix(at Shard) {
	if t := o.topics[at.Topic]; at.N == 0 && t.mixed {
		t.mixed = false
		for _, n := range slices.Sorted(maps.Keys(t.shards)) {
			if p := t.shards[n]; n > 0 && len(p.durable) == 0 {
				o.queue(Shard{at.Topic, n})
			}
		}
	}
}

// tidy forgets a shard without offsets, once nothing of it is to be stored.
func (o *Offsets) tidy(at Shard) {
	t := o.topics[at.Topic]
	p := o.part(at)
	if p == nil || len(p.durable) > 0 || p.queued || t.mixed {
		return
	}
	delete(t.shards, at.N)
	if len(t.shards) == 0 {
		delete(o.topics, at.Topic)
	}
}

// Decode reads a value that Store had stored.
func Decode(kv metadata.KV) (Shard, schema.Offsets, error) {
	_, topic, n, err := schema.ParseOffsetsKey(kv.Key)
	if err != nil {
		return Shard{}, nil, err
	}
	value, err := schema.DecodeOffsets(kv.Value)
	if err != nil {
		return Shard{}, nil, fmt.Errorf("read %s: %w", kv.Key, err)
	}
	return Shard{topic, n}, value, nil
}
