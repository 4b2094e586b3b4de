package admin

// ClusterStatus is the cluster as an agent sees it, as /v1/cluster tells it.
type ClusterStatus struct {
	Cluster    string          `json:"cluster"`
	Controller int32           `json:"controller"` // -1: there is none
	Level      int             `json:"level"`      // that the cluster was finalized at
	LevelNext  int             `json:"level_next"` // that a finalization prepares; 0: none
	LevelMax   int             `json:"level_max"`  // that all live agents know
	Agents     []AgentStatus   `json:"agents"`
	Journals   []JournalStatus `json:"journals"`
	Moves      []MoveStatus    `json:"moves"`
	MovesTotal int             `json:"moves_total"`
	Leaderless int             `json:"partitions_without_leader"`
	SlotsFree  int             `json:"slots_without_agent"`
}

// Finalized is what finalizing the cluster did, or would do.
type Finalized struct {
	Before int  `json:"level_before"`
	Level  int  `json:"level"`
	DryRun bool `json:"dry_run"`
}

// AgentStatus is one live agent, and what it has.
type AgentStatus struct {
	Broker      int32  `json:"broker"`
	Incarnation uint64 `json:"incarnation"`
	Store       string `json:"store"`
	Rack        string `json:"rack,omitempty"`
	Version     string `json:"version"`
	LevelMin    int    `json:"level_min"` // its build knows the levels from here
	LevelMax    int    `json:"level_max"` // to here
	HTTP        string `json:"http,omitempty"`
	Leaving     bool   `json:"leaving"`
	Drained     bool   `json:"drained"`
	Partitions  int    `json:"partitions"`
	Slots       int    `json:"slots"`
	BytesPerSec int64  `json:"bytes_per_second"`
	ReqsPerSec  int64  `json:"requests_per_second"`
}

// JournalStatus is a journal's record.
type JournalStatus struct {
	Journal string `json:"journal"`
	Broker  int32  `json:"broker"`
	State   string `json:"state"`
	Quorum  int    `json:"quorum"`
	End     uint64 `json:"end"`  // of a sealed one: its last entry
	Lost    bool   `json:"lost"` // an operator gave up what came after that
	// Waits: its writer is dead, and it isn't recovered yet.
	Waits   bool           `json:"waits"`
	Members []MemberStatus `json:"members"`
}

// MemberStatus is a store that keeps a journal.
type MemberStatus struct {
	Store  string `json:"store"`
	Broker int32  `json:"broker"`         // that last had it; -1: not known
	Host   string `json:"host,omitempty"` // of that broker
	Live   bool   `json:"live"`
	Gone   bool   `json:"gone"` // its agent is back with another store
	// Entries is the last entry that it has, when a loss is about to be accepted; -1: not
	// known.
	Entries int64 `json:"entries,omitempty"`
}

// MoveStatus is a move that is under way.
type MoveStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int32  `json:"from"`
	To        int32  `json:"to"`
}

// Balanced is what balancing came to.
type Balanced struct {
	Moves int `json:"moves"` // that were asked for
}
