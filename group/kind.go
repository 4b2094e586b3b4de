package group

import (
	"fmt"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
	"varve/metadata"
	"varve/metadata/schema"
)

// kind is what the coordinator has to know of groups.
func kind(cfg *Config, m *metrics) coordinator.Kind {
	return coordinator.Kind{
		Name: "group", Plural: "groups",
		New: func(name string) coordinator.Machine { return New(name, cfg) },
		Load: func(name string, stored []metadata.KV) (coordinator.Machine, bool, error) {
			g, err := decode(name, cfg, stored)
			if err != nil {
				return nil, false, err
			}
			return g, g.stays(), nil
		},
		Values: []coordinator.Values{
			{Prefix: schema.PrefixGroups, Of: schema.ParseGroupKey, At: schema.GroupKey},
			{Prefix: schema.PrefixOffsets, Of: groupOfOffsets, At: schema.GroupOffsets, Many: true},
		},
		Unreadable: func(name string) any { return summary{listing: Listing{Group: name, State: classic.Dead}} },
		Unread:     classic.Dead.String(),
		AwayText:   "metadata store does not answer; commits and rebalances of groups wait, members keep what they have",
		BackText:   "metadata store answers again; commits and rebalances of groups go on",
		Metrics:    m.driver,
	}
}

func groupOfOffsets(key string) (string, error) {
	group, _, _, err := schema.ParseOffsetsKey(key)
	return group, err
}

// decode makes a group of all values that are stored of it.
func decode(name string, cfg *Config, stored []metadata.KV) (*Group, error) {
	var record *schema.Group
	shards := map[offsets.Shard]schema.Offsets{}
	for _, kv := range stored {
		if kv.Key == schema.GroupKey(name) {
			rec, err := schema.DecodeGroup(kv.Value)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", kv.Key, err)
			}
			record = &rec
			continue
		}
		at, value, err := offsets.Decode(kv)
		if err != nil {
			return nil, err
		}
		shards[at] = value
	}
	return Load(name, cfg, record, shards), nil
}

// summary is what is kept of a group that is not in memory.
type summary struct {
	listing   Listing
	committed []offsets.Committed
}
