package classic

import (
	"time"

	"varve/coordinator"
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

// Size bounds what is kept of a Join as long as the member stays.
func (e *Join) Size() int {
	n := 512 + len(e.MemberID) + len(e.ClientID) + len(e.ClientHost) + len(e.ProtocolType)
	if e.InstanceID != nil {
		n += 2 * len(*e.InstanceID) // it is part of the id, too
	}
	for _, p := range e.Protocols {
		n += 64 + len(p.Name) + len(p.Metadata)
	}
	return n
}
