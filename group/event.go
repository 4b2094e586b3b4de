package group

import (
	"time"

	"varve/coordinator"
	"varve/group/offsets"
	"varve/internal/id"
)

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
