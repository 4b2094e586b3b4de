package offsets

import (
	"fmt"
	"maps"

	"varve/metadata/schema"
)

// Verify checks the invariants; it is for tests.
func Verify(o *Offsets) error {
	size := 0
	for _, at := range o.shards() {
		p, own := o.part(at), 0
		for _, c := range p.wanted() {
			own += sizeOf(c)
		}
		if own != p.size {
			return fmt.Errorf("shard %v takes %d bytes, %d are counted", at, own, p.size)
		}
		size += own
	}
	if size != o.size {
		return fmt.Errorf("all offsets take %d bytes, %d are counted", size, o.size)
	}
	return nil
}

// Durable returns all durable offsets, by shard; it is for tests.
func Durable(o *Offsets) map[Shard]schema.Offsets {
	all := map[Shard]schema.Offsets{}
	for _, at := range o.shards() {
		if p := o.part(at); len(p.durable) > 0 {
			all[at] = maps.Clone(p.durable)
		}
	}
	return all
}
