package admin

import (
	"strings"
	"time"
)

// Status is an agent's own state, as /v1/status tells it.
type Status struct {
	Broker           int32    `json:"broker"`
	Incarnation      uint64   `json:"incarnation"`
	Cluster          string   `json:"cluster"`
	Version          string   `json:"version"`
	Rack             string   `json:"rack,omitempty"`
	Partitions       int      `json:"partitions"`
	Topics           int      `json:"topics"`
	Agents           []int32  `json:"agents"`
	UnservedCount    int      `json:"partitions_without_leader"`
	UntieredBytes    int64    `json:"untiered_bytes"`
	OldestUntieredMs int64    `json:"oldest_untiered_ms"`
	JournalBytes     int64    `json:"journal_untrimmed_bytes"`
	JournalPressure  float64  `json:"journal_pressure"`
	TierBytes        int64    `json:"tier_bytes"`
	NotReady         []string `json:"not_ready,omitempty"`
	// Stuck are partitions that can't be tiered, as something of them can't be read.
	Stuck []StuckPartition `json:"stuck,omitempty"`
}

// LogLevel is the level of an agent's log, as /v1/log-level tells it.
type LogLevel struct {
	Level string `json:"level"`
}

func logLevel(c Console) *LogLevel { return &LogLevel{strings.ToLower(c.LogLevel().String())} }

// StuckPartition is why a partition can't be tiered, and since when.
type StuckPartition struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Since     time.Time `json:"since"`
	Why       string    `json:"why"`
}

// JournalsStatus is how this agent's journal is kept, and what it waits for, as
// /v1/journals tells it.
type JournalsStatus struct {
	Broker  int32       `json:"broker"`
	Journal string      `json:"journal"`
	Members []LagStatus `json:"members"`
	// Waiting lists which journals can't be recovered yet, and why; only the controller
	// knows.
	Waiting []Reason `json:"waiting"`
	// Unserved lists which partitions this agent owns and can't serve, and why.
	Unserved      []Reason `json:"unserved"`
	UnservedTotal int      `json:"unserved_total"`
}

// LagStatus is how far a member of the own journal's ensemble is.
type LagStatus struct {
	Store       string `json:"store"`
	Broker      int32  `json:"broker"`
	Own         bool   `json:"own"`
	Durable     uint64 `json:"durable_entry"`
	LagEntries  uint64 `json:"lag_entries"`
	LagBytes    int64  `json:"lag_bytes"`
	ConnectedMs int64  `json:"connected_ms"` // for how long; 0: it is not
	Behind      bool   `json:"behind"`       // too far to be waited for
	Error       string `json:"error,omitempty"`
}

// Reason is why something waits.
type Reason struct {
	What string `json:"what"`
	Why  string `json:"why"`
}
