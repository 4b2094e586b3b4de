package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"varve/agent"
	"varve/internal/say"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/tiering/object"
)

// headDump is what dump head tells of a partition.
type headDump struct {
	Topic       string      `json:"topic"`
	Partition   int32       `json:"partition"`
	Revision    int64       `json:"revision"` // etcd's, of its last change
	Broker      int32       `json:"broker"`
	Owner       uint64      `json:"owner"` // incarnation
	Epoch       int32       `json:"epoch"`
	LogStart    int64       `json:"log_start"`
	TieredEnd   int64       `json:"tiered_end"` // offset behind the last in the bucket
	TieredBytes int64       `json:"tiered_bytes"`
	Chain       []chainLink `json:"chain"`
	Epochs      []epochLink `json:"epochs"`
	Manifest    *manifest   `json:"manifest,omitempty"`
	Slices      []sliceDump `json:"slices"`
}

// chainLink is the journals that have the records from an offset on.
type chainLink struct {
	Writer uint64 `json:"writer"` // incarnation
	Epoch  int32  `json:"epoch"`
	Start  int64  `json:"start"`
}

// epochLink is where a leader epoch begins.
type epochLink struct {
	Epoch int32 `json:"epoch"`
	Start int64 `json:"start"`
}

// manifest is the tree of older slices.
type manifest struct {
	Key    string `json:"key"` // of the root page
	Base   int64  `json:"base"`
	End    int64  `json:"end"`
	Slices int64  `json:"slices"`
	Bytes  int64  `json:"bytes"`
}

// sliceDump is a slice that the head names.
type sliceDump struct {
	Key     string `json:"key"`
	Base    int64  `json:"base"`
	End     int64  `json:"end"`
	MinTime int64  `json:"min_time_ms"`
	MaxTime int64  `json:"max_time_ms"`
	Bytes   int64  `json:"bytes"`
}

func dumpHeadCommand() *cobra.Command {
	var stores storesFlags
	var out jsonFlag
	c := &cobra.Command{
		Use:   "head TOPIC[:PARTITIONS]",
		Short: "Show what etcd knows of a topic's partitions",
		Long: `Show the heads of a topic's partitions: who owns them, in whose journals the newest records
lie, and which objects hold the others. It reads the etcd that an agent's configuration names,
or the one of 'varve dev', which may run or not.`,
		Example: "  varve dump head orders --config varve.yaml\n  varve dump head orders:0,3 --data ./data --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, list, _ := strings.Cut(args[0], ":")
			partitions, err := partitionList(list)
			if err != nil {
				return err
			}
			cfg, err := stores.load()
			if err != nil {
				return err
			}
			meta, done, err := openMetadata(c.Context(), cfg, stores.data)
			if err != nil {
				return err
			}
			defer done()
			heads, err := readHeads(c.Context(), meta, name, partitions)
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), heads, func(t *table) {
				for i := range heads {
					if i > 0 {
						t.gap()
					}
					heads[i].print(t)
				}
			})
		},
	}
	stores.add(c)
	out.add(c, []headDump(nil))
	return c
}

// openMetadata connects to etcd: the configured one, or that of a development
// broker below data, running or not.
func openMetadata(ctx context.Context, cfg agent.Config, data string) (metadata.Store, func(), error) {
	quiet := slog.New(slog.DiscardHandler)
	if data == "" {
		if err := cfg.Metadata.Validate(); err != nil {
			return nil, nil, usagef("etcd.%w", err)
		}
		meta, err := metadata.Open(ctx, cfg.Metadata, quiet, nil)
		if err != nil {
			return nil, nil, fmt.Errorf("connect to etcd at %s (--config names another, --data that of 'varve dev'): %w", strings.Join(cfg.Metadata.Endpoints, ","), err)
		}
		return meta, func() { meta.Close() }, nil
	}
	dir, err := filepath.Abs(filepath.Join(data, "etcd"))
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, usagef("%s is no data directory of 'varve dev': %w", data, err)
	}
	etcd, err := metadata.StartEmbedded(ctx, metadata.EmbedConfig{Dir: dir, Logger: quiet})
	if err == nil {
		meta, err := metadata.Open(ctx, etcd.Config(), quiet, nil)
		if err != nil {
			return nil, nil, errors.Join(err, etcd.Close())
		}
		return meta, func() { meta.Close(); etcd.Close() }, nil
	}
	running := metadata.DefaultConfig()
	running.Endpoints = []string{"unix://" + filepath.Join(dir, "client.sock")}
	meta, other := metadata.Open(ctx, running, quiet, nil)
	if other != nil {
		return nil, nil, err
	}
	return meta, func() { meta.Close() }, nil
}

func readHeads(ctx context.Context, meta metadata.Store, topic string, partitions []int32) ([]headDump, error) {
	kv, err := meta.Get(ctx, schema.TopicKey(topic))
	if errors.Is(err, metadata.ErrNotFound) {
		return nil, notFoundError{fmt.Sprintf("there is no topic %s in this etcd", topic)}
	}
	if err != nil {
		return nil, fmt.Errorf("read topic %s: %w", topic, err)
	}
	t, err := schema.DecodeTopic(kv.Value)
	if err != nil {
		return nil, err
	}
	var bad error
	stored, err := schema.ListHeads(ctx, meta, &t.ID, func(key string, err error) {
		p, unknown := schema.ParseOwnerKey(key)
		if unknown != nil {
			p, unknown = schema.ParseHeadKey(key)
		}
		if unknown != nil || len(partitions) == 0 || slices.Contains(partitions, p.Index) {
			bad = fmt.Errorf("%s: %w", key, err)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list heads of topic %s: %w", topic, err)
	}
	if bad != nil {
		return nil, bad
	}
	heads := []headDump{}
	for p, s := range stored {
		if len(partitions) == 0 || slices.Contains(partitions, p.Index) {
			heads = append(heads, dumpHead(topic, &s))
		}
	}
	slices.SortFunc(heads, func(a, b headDump) int { return cmp.Compare(a.Partition, b.Partition) })
	if len(heads) == 0 {
		return nil, notFoundError{fmt.Sprintf("topic %s has no such partition with a head", topic)}
	}
	return heads, nil
}

func dumpHead(topic string, s *schema.StoredHead) headDump {
	h := s.Head
	d := headDump{Topic: topic, Partition: s.Partition.Index, Revision: int64(s.Rev()), Broker: int32(h.Broker), Owner: uint64(h.Owner), Epoch: int32(h.Epoch),
		LogStart: h.LogStart, TieredEnd: h.TieredEnd, TieredBytes: h.TieredBytes(), Chain: []chainLink{}, Epochs: []epochLink{}, Slices: []sliceDump{}}
	for _, l := range h.Chain {
		d.Chain = append(d.Chain, chainLink{uint64(l.Writer), int32(l.Epoch), l.Start})
	}
	for _, e := range h.Epochs {
		d.Epochs = append(d.Epochs, epochLink{int32(e.Epoch), e.Start})
	}
	if m := h.Manifest; m.Slices > 0 {
		d.Manifest = &manifest{object.PageKey(m.Root.Object), m.Base, m.End, m.Slices, m.Bytes}
	}
	for _, s := range h.Slices {
		d.Slices = append(d.Slices, sliceDump{object.Key(s.Object), s.Base, s.End, s.MinTime, s.MaxTime, s.Bytes})
	}
	return d
}

func (d *headDump) print(t *table) {
	t.row(fmt.Sprintf("partition %d of %s  broker %d, incarnation %d  epoch %d  revision %d", d.Partition, d.Topic, d.Broker, d.Owner, d.Epoch, d.Revision))
	t.row(fmt.Sprintf("log start %d  tiered up to %d  %s in the bucket", d.LogStart, d.TieredEnd, say.Bytes(d.TieredBytes)))
	for _, l := range d.Chain {
		t.row(fmt.Sprintf("from %d on: journals of incarnation %d, epoch %d", l.Start, l.Writer, l.Epoch))
	}
	for _, e := range d.Epochs {
		t.row(fmt.Sprintf("epoch %d begins at %d", e.Epoch, e.Start))
	}
	if m := d.Manifest; m != nil {
		t.row(fmt.Sprintf("manifest %s: %d slices, offsets %d to %d, %s", m.Key, m.Slices, m.Base, m.End, say.Bytes(m.Bytes)))
	}
	if len(d.Slices) == 0 {
		return
	}
	t.gap()
	t.row("SLICE IN", "FROM", "TO", "OLDEST", "NEWEST", "SIZE")
	for _, s := range d.Slices {
		t.row(s.Key, s.Base, s.End, timeText(s.MinTime), timeText(s.MaxTime), say.Bytes(s.Bytes))
	}
}
