package group

import (
	"time"

	"varve/group/offsets"
	"varve/internal/id"
	"varve/metadata"
)

// Ticket names a request until it is answered, once, by a Reply.
type Ticket uint64

// Event is something that happens to a group: a request of the types below
// that carry a Ticket, or one of Tick, Stored, StoreAway, Loaded, TopicsDeleted, Resign.
type Event interface{ event() }

// Protocol is one that a member can use, with the member's metadata for it.
type Protocol struct {
	Name     string
	Metadata []byte
}

// Join asks to be in the next generation.
type Join struct {
	Ticket           Ticket
	MemberID         string // "" if none was given out yet
	InstanceID       *string
	NewID            string // random; makes the id of a new member
	ClientID         string
	ClientHost       string
	SessionTimeout   time.Duration
	RebalanceTimeout time.Duration
	ProtocolType     string
	Protocols        []Protocol
	RequireMemberID  bool // the client knows ErrMemberIDRequired (KIP-394)
	CanSkip          bool // the client knows SkipAssignment (KIP-814)
	Reason           string
}

// JoinReply answers a Join.
type JoinReply struct {
	Err            error
	MemberID       string
	Generation     int32   // -1 with an error
	ProtocolType   *string // nil with an error
	Protocol       *string // nil with an error
	Leader         string
	SkipAssignment bool
	Members        []JoinedMember // for the leader only
}

// JoinedMember is what the leader learns of a member.
type JoinedMember struct {
	MemberID   string
	InstanceID *string
	Metadata   []byte
}

// Sync asks for the member's assignment; the leader brings all of them.
type Sync struct {
	Ticket       Ticket
	MemberID     string
	InstanceID   *string
	Generation   int32
	ProtocolType *string // checked if not nil
	Protocol     *string // checked if not nil
	Assignments  map[string][]byte
}

// SyncReply answers a Sync.
type SyncReply struct {
	Err          error
	ProtocolType *string
	Protocol     *string
	Assignment   []byte
}

// Heartbeat keeps a member's session.
type Heartbeat struct {
	Ticket     Ticket
	MemberID   string
	InstanceID *string
	Generation int32
}

// HeartbeatReply answers a Heartbeat.
type HeartbeatReply struct{ Err error }

// Leave removes members.
type Leave struct {
	Ticket  Ticket
	Members []Leaving
}

// Leaving is one member to remove: by id, or by instance id if MemberID is "".
type Leaving struct {
	MemberID   string
	InstanceID *string
	Reason     string
}

// LeaveReply answers a Leave; Members are errors in the order of the request.
type LeaveReply struct {
	Err     error
	Members []error
}

// Commit stores offsets for a member, or for anybody if the group has none.
type Commit struct {
	Ticket     Ticket
	MemberID   string
	InstanceID *string
	Generation int32         // negative: not of a member
	Retention  time.Duration // 0: the group's
	NewErrors  bool          // the client knows ErrGroupNotFound here
	Topics     []offsets.CommitTopic
}

// CommitReply answers a Commit: Err is for all of it; Errs are, in the order of
// the request, those of partitions that were refused by themselves.
type CommitReply struct {
	Err  error
	Errs [][]error
}

// DeleteOffsets forgets committed offsets.
type DeleteOffsets struct {
	Ticket Ticket
	Topics []offsets.TopicPartitions
}

// DeleteOffsetsReply answers a DeleteOffsets; Errs go by topic.
type DeleteOffsetsReply struct {
	Err  error
	Errs []error
}

// Delete removes an empty group and all its offsets.
type Delete struct{ Ticket Ticket }

// DeleteReply answers a Delete.
type DeleteReply struct{ Err error }

// Settle asks to wait until all offsets that were accepted are durable.
type Settle struct{ Ticket Ticket }

// SettleReply answers a Settle.
type SettleReply struct{ Err error }

// Tick is the passing of time; due at the group's Wake.
type Tick struct{}

// Loaded is the first event of a group that was read from the store.
type Loaded struct{}

// TopicsDeleted forgets all offsets of topics that are gone, given with their names.
type TopicsDeleted struct{ Gone map[id.Topic]string }

// Stored says that a Store is durable. If one fails what is stored is not known:
// the group must Resign and be loaded anew.
type Stored struct{}

// StoreAway reports that the metadata store doesn't answer, or answers again. What waits for
// it, and what would have to, is answered at once with ErrAway.
type StoreAway struct{ Away bool }

// Resign answers everything that is pending with Err; the group is not used
// after it.
type Resign struct{ Err error }

func (Join) event()          {}
func (Sync) event()          {}
func (Heartbeat) event()     {}
func (Leave) event()         {}
func (Commit) event()        {}
func (DeleteOffsets) event() {}
func (Delete) event()        {}
func (Settle) event()        {}
func (Tick) event()          {}
func (Loaded) event()        {}
func (TopicsDeleted) event() {}
func (Stored) event()        {}
func (StoreAway) event()     {}
func (Resign) event()        {}

// Effect is what a Step wants done: Reply, Store, Note or Count.
type Effect interface{ effect() }

// Reply answers the request of a Ticket with the reply type of its event.
type Reply struct {
	Ticket Ticket
	Answer any
}

// Store has operations done in one transaction; a Stored answers it, and until then there is
// no other.
type Store struct{ Ops []metadata.Op }

// Note is worth a line in the log.
type Note struct {
	Text  string
	Alarm bool // an operator has to do something
}

// Count adds to a metric.
type Count struct {
	What Metric
	N    int
}

// Metric is something that is counted.
type Metric uint8

// What is counted.
const (
	CountRebalances Metric = iota
	CountExpiredMembers
	CountCommits
	CountExpiredOffsets
	CountDeletedOffsets
)

func (m Metric) String() string {
	return [...]string{"rebalances", "expired members", "commits", "expired offsets", "deleted offsets"}[m]
}

func (Reply) effect() {}
func (Store) effect() {}
func (Note) effect()  {}
func (Count) effect() {}
