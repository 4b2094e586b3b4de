package agent

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"varve/cluster"
	"varve/coordinator"
	"varve/internal/id"
	"varve/metadata"
)

// ClusterStatus is the cluster as an agent sees it, as /v1/cluster tells it.
type ClusterStatus struct {
	Cluster    string          `json:"cluster"`
	Controller int32           `json:"controller"` // -1: nobody
	Agents     []AgentStatus   `json:"agents"`
	Journals   []JournalStatus `json:"journals"`
	Moves      []MoveStatus    `json:"moves"`
	MovesTotal int             `json:"moves_total"`
	Leaderless int             `json:"partitions_without_leader"`
	SlotsFree  int             `json:"slots_without_agent"`
}

// AgentStatus is one live agent, and what it has.
type AgentStatus struct {
	Broker      int32  `json:"broker"`
	Incarnation uint64 `json:"incarnation"`
	Store       string `json:"store"`
	Rack        string `json:"rack,omitempty"`
	Version     string `json:"version"`
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
	Lost    bool   `json:"lost"` // an operator gave up what came behind that
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

// movesShown bounds the list of moves in an answer.
const movesShown = 1000

// Cluster returns the cluster as this agent sees it.
func (a *Agent) Cluster() any { return a.clusterStatus() }

func (a *Agent) clusterStatus() *ClusterStatus {
	v := a.view
	s := &ClusterStatus{Cluster: a.id, Controller: int32(id.NoBroker), Agents: []AgentStatus{}, Journals: []JournalStatus{}, Moves: []MoveStatus{}, Leaderless: a.withoutLeader()}
	if c := v.Controller(); c.Incarnation != 0 {
		s.Controller = int32(c.Broker)
	}
	partitions, slots := map[id.Incarnation]int{}, map[id.Incarnation]int{}
	deleted := v.Deleted()
	for p, o := range v.Owners() {
		if _, over := deleted[p.Topic]; !over {
			partitions[o.Incarnation]++
		}
	}
	for _, o := range v.Slots() {
		slots[o.Incarnation]++
	}
	drained, loads := v.Drained(), v.Loads()
	s.SlotsFree = coordinator.Slots
	for _, l := range v.Agents() {
		n := AgentStatus{Broker: int32(l.Broker), Incarnation: uint64(l.Incarnation), Store: l.Store.String(), Rack: l.Rack, Version: l.Version, HTTP: l.HTTP,
			Leaving: l.Leaving, Drained: drained[l.Broker], Partitions: partitions[l.Incarnation], Slots: slots[l.Incarnation]}
		if load := loads[l.Broker]; load.Incarnation == l.Incarnation {
			n.BytesPerSec, n.ReqsPerSec = load.Total.Bytes, load.Total.Requests
		}
		s.SlotsFree -= n.Slots
		s.Agents = append(s.Agents, n)
	}
	a.journalStatuses(s)
	a.moveStatuses(s)
	return s
}

func (a *Agent) journalStatuses(s *ClusterStatus) {
	journals := a.view.Journals()
	order := make([]id.Journal, 0, len(journals))
	for j := range journals {
		order = append(order, j)
	}
	slices.SortFunc(order, id.Journal.Compare)
	for _, j := range order {
		s.Journals = append(s.Journals, a.journalStatus(j, journals[j].Journal))
	}
}

func (a *Agent) journalStatus(j id.Journal, rec metadata.Journal) JournalStatus {
	n := JournalStatus{Journal: j.String(), Broker: int32(rec.Broker), State: rec.State.String(), Quorum: int(rec.Quorum), End: rec.End, Lost: rec.Lost, Members: []MemberStatus{},
		Waits: rec.State != metadata.JournalSealed && !a.view.Alive(j.Writer, rec.Broker)}
	for _, store := range rec.Keepers() {
		home, known := a.view.StoreHome(store)
		if !known {
			home.Broker = id.NoBroker
		}
		_, live := a.view.Store(store)
		n.Members = append(n.Members, MemberStatus{store.String(), int32(home.Broker), home.Host, live, a.view.Moved(store), 0})
	}
	return n
}

func (a *Agent) moveStatuses(s *ClusterStatus) {
	moves := a.view.Moves()
	s.MovesTotal = len(moves)
	at := make([]id.Partition, 0, len(moves))
	for p := range moves {
		at = append(at, p)
	}
	slices.SortFunc(at, id.Partition.Compare)
	for _, p := range at[:min(len(at), movesShown)] {
		from := id.NoBroker
		if o, ok := a.view.Owner(p); ok {
			from = o.Broker
		}
		s.Moves = append(s.Moves, MoveStatus{a.topicName(p.Topic), p.Index, int32(from), int32(moves[p].To)})
	}
}

// JournalsStatus is how this agent's journal is kept, and what it waits for, as
// /v1/journals tells it.
type JournalsStatus struct {
	Broker  int32       `json:"broker"`
	Journal string      `json:"journal"`
	Members []LagStatus `json:"members"`
	// Waiting says which journals can't be recovered yet, and why; only the controller
	// knows.
	Waiting []Reason `json:"waiting"`
	// Unserved says which partitions this agent owns and can't serve, and why.
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

// Reason says why something waits.
type Reason struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// reasonsShown bounds a list of reasons.
const reasonsShown = 100

// Journals returns how this agent's journal is kept, and what waits.
func (a *Agent) Journals() any {
	j := a.own.ID()
	s := &JournalsStatus{Broker: int32(a.self), Journal: j.String(), Members: []LagStatus{}, Waiting: []Reason{}, Unserved: []Reason{}}
	for _, m := range a.peers.Members(j) {
		b, known := a.view.Home(m.Store)
		if !known {
			b = id.NoBroker
		}
		l := LagStatus{Store: m.Store.String(), Broker: int32(b), Own: m.Own, Durable: m.Durable, LagEntries: m.LagEntries, LagBytes: m.LagBytes, Behind: m.Behind}
		if !m.Connected.IsZero() {
			l.ConnectedMs = max(time.Since(m.Connected).Milliseconds(), 1)
		}
		if m.Err != nil {
			l.Error = m.Err.Error()
		}
		s.Members = append(s.Members, l)
	}
	if a.hasStarted() {
		for j, why := range a.control.Waiting() {
			s.Waiting = append(s.Waiting, Reason{j.String(), why})
		}
	}
	for p, why := range a.unserved.all() {
		s.Unserved = append(s.Unserved, Reason{a.topicName(p.Topic) + "/" + strconv.Itoa(int(p.Index)), why})
	}
	s.UnservedTotal = len(s.Unserved)
	byWhat := func(x, y Reason) int { return cmp.Compare(x.What, y.What) }
	slices.SortFunc(s.Waiting, byWhat)
	slices.SortFunc(s.Unserved, byWhat)
	s.Unserved = s.Unserved[:min(len(s.Unserved), reasonsShown)]
	return s
}

// advertisedHTTP is where the other agents and the command line reach the admin API:
// if it is bound to all interfaces, at the host that Kafka's clients are told.
func (a *Agent) advertisedHTTP() string {
	bound := a.HTTPAddress()
	host, port, err := net.SplitHostPort(bound)
	if err != nil {
		return bound
	}
	if ip := net.ParseIP(host); (host == "" || ip != nil && ip.IsUnspecified()) && len(a.endpoints) > 0 {
		return net.JoinHostPort(a.endpoints[0].Host, port)
	}
	return bound
}

// partitionOf finds a partition by its topic's name.
func (a *Agent) partitionOf(topic string, index int32) (id.Partition, error) {
	t, ok := a.view.Topic(topic)
	if !ok {
		return id.Partition{}, fmt.Errorf("partition %d of topic '%s': %w", index, topic, cluster.ErrUnknownTopic)
	}
	if index < 0 || index >= t.Partitions {
		return id.Partition{}, &noPartitionError{topic, index, t.Partitions}
	}
	return id.Partition{Topic: t.ID, Index: index}, nil
}

// noPartitionError reports that a topic has fewer partitions.
type noPartitionError struct {
	topic      string
	index, has int32
}

func (e *noPartitionError) Error() string {
	return fmt.Sprintf("partition %d of topic '%s' does not exist: the topic has %d, numbered from 0", e.index, e.topic, e.has)
}

func (e *noPartitionError) Unwrap() error { return cluster.ErrUnknownTopic }
