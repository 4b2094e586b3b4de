package group

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"varve/group/offsets"
	"varve/metadata"
	"varve/metadata/schema"
)

// kept is what a store holds of the group "g".
type kept struct {
	t       testing.TB
	record  *schema.Group
	offsets map[offsets.Shard]schema.Offsets
}

func newKept(t testing.TB) *kept { return &kept{t: t, offsets: map[offsets.Shard]schema.Offsets{}} }

// apply does what a Store asks for.
func (k *kept) apply(ops []metadata.Op) {
	for _, op := range ops {
		switch {
		case op.Key == schema.GroupKey("g"):
			k.record = k.decode(op)
		case op.Delete:
			at, _ := k.value(op)
			delete(k.offsets, at)
		default:
			at, value := k.value(op)
			k.offsets[at] = value
		}
	}
}

// decode reads the record that an operation stores; nil if it deletes it.
func (k *kept) decode(op metadata.Op) *schema.Group {
	if op.Delete {
		return nil
	}
	rec, err := schema.DecodeGroup(op.Value)
	if err != nil {
		k.t.Fatalf("what is stored can't be read: %v", err)
	}
	return &rec
}

// value reads the offsets that an operation stores; none if it deletes them.
func (k *kept) value(op metadata.Op) (offsets.Shard, schema.Offsets) {
	if op.Delete {
		op.Value = schema.Offsets{}.Encode()
	}
	at, value, err := offsets.Decode(metadata.KV{Key: op.Key, Value: op.Value})
	if err != nil {
		k.t.Fatalf("what is stored can't be read: %v", err)
	}
	return at, value
}

// load makes a group of it.
func (k *kept) load(cfg *Config) *Group { return Load("g", cfg, k.record, k.copy()) }

func (k *kept) copy() map[offsets.Shard]schema.Offsets {
	all := map[offsets.Shard]schema.Offsets{}
	for at, o := range k.offsets {
		all[at] = maps.Clone(o)
	}
	return all
}

// age makes of a topic's values what an earlier version would have left: one for all.
func (k *kept) age(all offsets.Shard) {
	for at, o := range k.offsets {
		if at.Topic == all.Topic && at != all {
			if k.offsets[all] == nil {
				k.offsets[all] = schema.Offsets{}
			}
			maps.Copy(k.offsets[all], o)
			delete(k.offsets, at)
		}
	}
}

// show describes what a Store asks for.
func (k *kept) show(ops []metadata.Op) string {
	var b strings.Builder
	for _, op := range ops {
		if op.Key == schema.GroupKey("g") {
			b.WriteString(showRecord(k.decode(op)))
			continue
		}
		at, value := k.value(op)
		for _, p := range slices.Sorted(maps.Keys(value)) {
			fmt.Fprintf(&b, " %s/%d=%d", at.Topic, p, value[p].Offset)
		}
		if len(value) == 0 {
			fmt.Fprintf(&b, " %s%s gone", at.Topic, shardName(at.N))
		}
		if len(value) == 0 && !op.Delete {
			b.WriteString(" (kept)")
		}
	}
	return b.String()
}

func showRecord(r *schema.Group) string {
	if r == nil {
		return " drop record"
	}
	s := fmt.Sprintf(" record(generation %d", r.Generation)
	for _, m := range r.Members {
		s += fmt.Sprintf(" %s:%s", m.ID, m.Assignment)
	}
	return s + ")"
}

func shardName(n int32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint("#", n)
}
