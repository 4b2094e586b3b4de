package group

import (
	"time"

	"varve/coordinator"
	"varve/group/offsets"
	"varve/internal/id"
)

// Protocol is one that a member can use, with the member's metadata for it.
type Protocol struct {
	Name     string
	Metadata []byte
}

// Join asks to be in the next generation.
type Join struct {
	Ticket           coordinator.Ticket
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
	Ticket       coordinator.Ticket
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
	Ticket     coordinator.Ticket
	MemberID   string
	InstanceID *string
	Generation int32
}

// HeartbeatReply answers a Heartbeat.
type HeartbeatReply struct{ Err error }

// Leave removes members.
type Leave struct {
	Ticket  coordinator.Ticket
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
	Ticket     coordinator.Ticket
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
	Ticket coordinator.Ticket
	Topics []offsets.TopicPartitions
}

// DeleteOffsetsReply answers a DeleteOffsets; Errs go by topic.
type DeleteOffsetsReply struct {
	Err  error
	Errs []error
}

// Delete removes an empty group and all its offsets.
type Delete struct{ Ticket coordinator.Ticket }

// DeleteReply answers a Delete.
type DeleteReply struct{ Err error }

// Settle asks to wait until all offsets that were accepted are durable.
type Settle struct{ Ticket coordinator.Ticket }

// SettleReply answers a Settle.
type SettleReply struct{ Err error }

// TopicsDeleted forgets all offsets of topics that are gone, given with their names.
type TopicsDeleted struct{ Gone map[id.Topic]string }
