// Package health decides, from what is known of a cluster, how well it is: pure
// functions from a Snapshot to an Answer, and from an agent's own state to whether it is
// ready. It asks nothing and keeps nothing.
//
// It promises that each thing that is not as it should be is named, with the agent and
// its host, and what to do about it.
package health

import (
	"fmt"
	"time"

	"varve/internal/id"
)

// Report is what an agent reports of itself, to other agents and to operators.
type Report struct {
	Broker      int32     `json:"broker"`
	Incarnation uint64    `json:"incarnation"`
	Version     string    `json:"version"`
	Now         time.Time `json:"now"` // by its own clock
	// Starting is what a start waits for; empty: it serves.
	Starting string   `json:"starting,omitempty"`
	NotReady []string `json:"not_ready,omitempty"`
	// Notes are what is not as it should be, though the agent serves.
	Notes []string `json:"notes,omitempty"`

	Partitions       int   `json:"partitions"`
	UntieredBytes    int64 `json:"untiered_bytes"`
	OldestUntieredMs int64 `json:"oldest_untiered_ms"`

	JournalBytes    int64                  `json:"journal_untrimmed_bytes"`
	JournalPressure float64                `json:"journal_pressure"`
	Journals        map[string][]MemberLag `json:"journals,omitempty"` // those that it writes, or wrote and keeps

	Disk   Disk  `json:"disk"`
	Bucket Place `json:"bucket"`
	// BucketDanger means that the bucket's own rules will lose records, BucketCost that it keeps
	// what was deleted.
	BucketDanger string `json:"bucket_danger,omitempty"`
	BucketCost   string `json:"bucket_cost,omitempty"`
	Etcd         Place  `json:"etcd"`
	Clocks       Clocks `json:"clocks"`

	// Waiting are journals that can't be recovered yet; only the controller knows.
	Waiting []Reason `json:"waiting,omitempty"`
	// Opening counts the partitions that it owns and does not serve yet, but Unserved.
	Opening int `json:"opening,omitempty"`
	// Unserved are partitions that it owns and can't serve.
	Unserved []Reason `json:"unserved,omitempty"`
	Stuck    []Reason `json:"stuck,omitempty"` // partitions that can't be uploaded
	// Holes are records that readers met and that can't be read; HoleCount counts those that
	// are not listed as well.
	Holes     []Hole `json:"holes,omitempty"`
	HoleCount int    `json:"hole_count,omitempty"`
}

// Hole is a range of records that can't be read, as their object is gone or damaged.
type Hole struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	From      int64     `json:"from"` // first offset
	To        int64     `json:"to"`   // the offset behind the last
	Object    string    `json:"object"`
	Why       string    `json:"why"`
	Since     time.Time `json:"since,omitzero"` // when a reader met it; absent: none has yet
}

// String names the records.
func (h *Hole) String() string {
	return fmt.Sprintf("%s/%d, offsets %d to %d (object %s)", h.Topic, h.Partition, h.From, h.To, h.Object)
}

// MemberLag is how far a member of a journal is.
type MemberLag struct {
	Store      string `json:"store"`
	Own        bool   `json:"own"`
	Durable    uint64 `json:"durable_entry"`
	LagEntries uint64 `json:"lag_entries"`
	LagBytes   int64  `json:"lag_bytes"`
	Connected  bool   `json:"connected"`
	Behind     bool   `json:"behind"` // too far to be waited for
	Error      string `json:"error,omitempty"`
}

// Disk is the disk of an agent's journals.
type Disk struct {
	FreeBytes    int64 `json:"free_bytes"`
	TotalBytes   int64 `json:"total_bytes"`
	ReserveBytes int64 `json:"reserve_bytes"` // that stay free
	// Low: there is room for few more files; producers are slowed down.
	Low bool `json:"low"`
	// Full is why no file can be made: producers are refused.
	Full string `json:"full,omitempty"`
}

// Place is something that an agent works with.
type Place struct {
	Name  string    `json:"name"`
	Error string    `json:"error,omitempty"` // empty: it answers
	Since time.Time `json:"since,omitzero"`  // of the error
}

// Clocks is how far other clocks are ahead of an agent's; null: not known.
type Clocks struct {
	EtcdMs   *int64 `json:"etcd_ms"`
	BucketMs *int64 `json:"bucket_ms"`
}

// Reason reports why something waits.
type Reason struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Agent is what the cluster knows of an agent.
type Agent struct {
	Broker     id.Broker
	Host       string
	HTTP       string
	Live       bool     // it has a session
	Store      id.Store // that it has, or had last
	Registered time.Time
	Stopped    bool    // it was told to stop; else it vanished
	Leaving    bool    // it is stopping
	Drained    bool    // it is to own nothing
	Leads      int     // partitions
	Report     *Report // nil: it was not asked, or did not answer
	Problem    string  // why not; empty: there is no way to ask it
}

// Expected reports whether the agent should be there. One that was drained and then
// stopped has left for good.
func (a *Agent) Expected() bool { return a.Live || !(a.Drained && a.Stopped) }

// Journal is a journal's record, with what is known of its writer.
type Journal struct {
	ID       id.Journal
	Broker   id.Broker
	State    State
	Quorum   int
	End      uint64
	Ensemble []id.Store
	Holders  []id.Store
	// Tiered is the time of the newest record in the bucket of the partitions whose records a
	// dead one may have; zero: not known.
	Tiered time.Time
}

// State is a step in a journal's life.
type State uint8

// The states of a journal.
const (
	Open State = iota + 1
	Dead       // open, and its writer has no session
	Sealed
)

// StoreAt is where a store is, or was last.
type StoreAt struct {
	Broker id.Broker
	Host   string
	Live   bool // an agent with a session has it
	Gone   bool // its agent lives with another store
}

// Snapshot is everything that a verdict is made of.
type Snapshot struct {
	Now        time.Time
	Cluster    string
	AskedAgent id.Broker // whose picture this is
	Agents     []Agent   // by broker id: live ones, and those that are remembered
	Journals   []Journal // by id
	Stores     map[id.Store]StoreAt
	Factor     int
	Leaderless int // partitions
	Partitions int
	SlotsFree  int           // coordinator slots without an agent
	MaxAge     time.Duration // after which a record should be in the bucket
}
