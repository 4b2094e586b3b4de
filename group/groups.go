// Package group coordinates consumer groups: Groups answers the requests of clients, and
// Group is one group, which the coordinator drives. A group consists of parts, which are
// packages of their own: a membership protocol (group/classic), and committed offsets
// (group/offsets). It stores both in one record and in the shards of its offsets.
//
// It promises Apache Kafka's behaviour down to its errors; that an offset is
// answered only when it is durable in the metadata store; that members of a
// stable group go on through an outage of the store and a change of coordinator. It never
// looks into assignments, and never knows connections or Kafka's messages.
//
// Sources: Apache Kafka's group coordinator; KIP-62, KIP-134, KIP-211, KIP-345,
// KIP-389, KIP-394, KIP-496, KIP-800, KIP-814.
package group

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"varve/coordinator"
	"varve/internal/chance"
	"varve/internal/id"
	"varve/metadata"
)

// Topics looks up topics by name.
type Topics interface {
	// IsTopic reports whether the topic of that name is this one.
	IsTopic(ctx context.Context, name string, t id.Topic) (bool, error)
}

// Groups serves the groups of the slots that this agent owns.
type Groups struct {
	driver  *coordinator.Coordinator
	reader  coordinator.Reader
	topics  Topics
	random  *chance.Source
	metrics *metrics

	membersBytes int64 // Config.MembersBytes
}

// Open serves no groups yet. random makes members' ids; nil is the
// system's. It panics on a config that Validate refuses.
func Open(cfg Config, reader coordinator.Reader, writer coordinator.Writer, topics Topics, random *chance.Source, log *slog.Logger, reg prometheus.Registerer) *Groups {
	if err := cfg.Validate(); err != nil {
		panic("group: config: " + err.Error())
	}
	m := newMetrics(reg)
	driver := coordinator.Open(cfg.driver(), kind(&cfg, m), reader, writer, log)
	return &Groups{driver: driver, reader: reader, topics: topics, random: random, metrics: m, membersBytes: cfg.MembersBytes}
}

// OwnSlots takes slots over; see coordinator.Coordinator.
func (g *Groups) OwnSlots(slots map[int]metadata.Guard) { g.driver.OwnSlots(slots) }

// ReleaseSlot releases a slot. It stores what the slot's groups have accepted, unless
// ctx ends first, and answers pending requests with ErrNotCoordinator.
func (g *Groups) ReleaseSlot(ctx context.Context, n int) { g.driver.ReleaseSlot(ctx, n) }

// Close releases all slots, within ctx. Requests after it are ErrNotCoordinator.
func (g *Groups) Close(ctx context.Context) { g.driver.Close(ctx) }
