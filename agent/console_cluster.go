package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"varve/admin"
	"varve/cluster"
	"varve/coordinator"
	"varve/internal/id"
	"varve/metadata/schema"
)

// movesShown bounds the list of moves in an answer.
const movesShown = 1000

// Cluster returns the cluster as this agent sees it.
func (c *console) Cluster() *admin.ClusterStatus {
	v := c.view
	s := &admin.ClusterStatus{Cluster: c.id, Controller: int32(id.NoBroker), Agents: []admin.AgentStatus{}, Journals: []admin.JournalStatus{}, Moves: []admin.MoveStatus{}, Leaderless: withoutLeader(c.view)}
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
	now, _ := v.Levels.Cluster()
	s.Level, s.LevelNext, s.LevelMax = int(now.Level), int(now.Next), int(v.Levels.Highest())
	for _, l := range v.Agents() {
		levels := v.Levels.Of(l.Broker)
		n := admin.AgentStatus{Broker: int32(l.Broker), Incarnation: uint64(l.Incarnation), Store: l.Store.String(), Rack: l.Rack, Version: l.Version, LevelMin: int(levels.Min), LevelMax: int(levels.Max), HTTP: l.HTTP,
			Leaving: l.Leaving, Drained: drained[l.Broker], Partitions: partitions[l.Incarnation], Slots: slots[l.Incarnation]}
		if load := loads[l.Broker]; load.Incarnation == l.Incarnation {
			n.BytesPerSec, n.ReqsPerSec = load.Total.Bytes, load.Total.Requests
		}
		s.SlotsFree -= n.Slots
		s.Agents = append(s.Agents, n)
	}
	c.journalStatuses(s)
	c.moveStatuses(s)
	return s
}

func (c *console) journalStatuses(s *admin.ClusterStatus) {
	journals := c.view.Journals()
	order := make([]id.Journal, 0, len(journals))
	for j := range journals {
		order = append(order, j)
	}
	slices.SortFunc(order, id.Journal.Compare)
	for _, j := range order {
		s.Journals = append(s.Journals, c.journalStatus(j, journals[j].Journal))
	}
}

func (c *console) journalStatus(j id.Journal, rec schema.Journal) admin.JournalStatus {
	n := admin.JournalStatus{Journal: j.String(), Broker: int32(rec.Broker), State: rec.State.String(), Quorum: int(rec.Quorum), End: rec.End, Lost: rec.Lost, Members: []admin.MemberStatus{},
		Waits: rec.State != schema.JournalSealed && !c.view.Alive(j.Writer, rec.Broker)}
	for _, store := range rec.Keepers() {
		home, known := c.view.StoreHome(store)
		if !known {
			home.Broker = id.NoBroker
		}
		_, live := c.view.Store(store)
		n.Members = append(n.Members, admin.MemberStatus{Store: store.String(), Broker: int32(home.Broker), Host: home.Host, Live: live, Gone: c.view.Moved(store)})
	}
	return n
}

func (c *console) moveStatuses(s *admin.ClusterStatus) {
	moves := c.view.Moves()
	s.MovesTotal = len(moves)
	at := make([]id.Partition, 0, len(moves))
	for p := range moves {
		at = append(at, p)
	}
	slices.SortFunc(at, id.Partition.Compare)
	for _, p := range at[:min(len(at), movesShown)] {
		from := id.NoBroker
		if o, ok := c.view.Owner(p); ok {
			from = o.Broker
		}
		s.Moves = append(s.Moves, admin.MoveStatus{Topic: c.names().topic(p.Topic), Partition: p.Index, From: int32(from), To: int32(moves[p].To)})
	}
}

// reasonsShown bounds a list of reasons.
const reasonsShown = 100

// Journals returns how this agent's journal is kept, and what waits.
func (c *console) Journals() *admin.JournalsStatus {
	j := c.mine()
	s := &admin.JournalsStatus{Broker: int32(c.self), Journal: j.String(), Members: []admin.LagStatus{}, Waiting: []admin.Reason{}, Unserved: []admin.Reason{}}
	for _, m := range c.peers.Members(j) {
		b, known := c.view.Home(m.Store)
		if !known {
			b = id.NoBroker
		}
		l := admin.LagStatus{Store: m.Store.String(), Broker: int32(b), Own: m.Own, Durable: m.Durable, LagEntries: m.LagEntries, LagBytes: m.LagBytes, Behind: m.Behind}
		if !m.Connected.IsZero() {
			l.ConnectedMs = max(time.Since(m.Connected).Milliseconds(), 1)
		}
		if m.Err != nil {
			l.Error = m.Err.Error()
		}
		s.Members = append(s.Members, l)
	}
	for j, why := range c.control.Waiting() {
		s.Waiting = append(s.Waiting, admin.Reason{What: j.String(), Why: why})
	}
	for p, why := range c.unserved.All() {
		s.Unserved = append(s.Unserved, admin.Reason{What: c.names().topic(p.Topic) + "/" + strconv.Itoa(int(p.Index)), Why: why})
	}
	s.UnservedTotal = len(s.Unserved)
	byWhat := func(x, y admin.Reason) int { return cmp.Compare(x.What, y.What) }
	slices.SortFunc(s.Waiting, byWhat)
	slices.SortFunc(s.Unserved, byWhat)
	s.Unserved = s.Unserved[:min(len(s.Unserved), reasonsShown)]
	return s
}

// partitionOf finds a partition by its topic's name.
func (c *console) partitionOf(topic string, index int32) (id.Partition, error) {
	t, ok := c.view.Topic(topic)
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
