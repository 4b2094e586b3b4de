package group

import (
	"context"
	"errors"
	"time"

	"varve/group/offsets"

	"github.com/google/uuid"
)

// ask brings an event to its group and waits for the answer, or for the end of
// ctx.
func ask[R any](ctx context.Context, c *Coordinator, group string, event func(Ticket) Event) (r R, err error) {
	answers := make(chan any, 1)
	var done <-chan struct{}
	err = c.run(ctx, group, func(s *slot, e *entry) {
		done = s.done
		t := s.ticket(answers)
		s.step(e, event(t))
	})
	if err != nil {
		return r, err
	}
	select {
	case a := <-answers:
		return a.(R), nil
	case <-done:
	case <-ctx.Done():
		return r, ctx.Err()
	}
	select {
	case a := <-answers: // the slot's last
		return a.(R), nil
	default:
		return r, ErrNotCoordinator
	}
}

// run lets the owner of a group do something with it once it is in memory.
func (c *Coordinator) run(ctx context.Context, group string, do func(*slot, *entry)) error {
	s, err := c.slot(group)
	if err != nil {
		return err
	}
	c.use()
	began := make(chan error, 1)
	t := task{run: func(e *entry) {
		do(s, e)
		began <- nil
	}, fail: func(err error) { began <- err }}
	if err := s.send(ctx, func() { s.start(group, t) }); err != nil {
		return err
	}
	select {
	case err := <-began:
		return err
	case <-s.done:
		return ErrNotCoordinator
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Bounds of what the members of all groups of an agent bring along. Small joins are
// always welcome.
const (
	maxAllMembersBytes = 256 << 20
	smallJoin          = 16 << 10
)

// Join asks to be in the group's next generation; it waits for that, as long as
// the members' rebalance timeouts. Ticket and NewID are set here.
func (c *Coordinator) Join(ctx context.Context, group string, e Join) JoinReply {
	if group == "" {
		return JoinReply{Err: ErrInvalidGroup, MemberID: e.MemberID, Generation: -1}
	}
	if size := e.size(); size > smallJoin && c.members.Load()+int64(size) > maxAllMembersBytes {
		return JoinReply{Err: ErrUnavailable, MemberID: e.MemberID, Generation: -1}
	}
	e.NewID = uuid.Must(uuid.NewRandomFromReader(c.random)).String()
	r, err := ask[JoinReply](ctx, c, group, func(t Ticket) Event { e.Ticket = t; return e })
	if err != nil {
		return JoinReply{Err: err, MemberID: e.MemberID, Generation: -1}
	}
	return r
}

// Sync asks for the member's assignment; it waits for the leader's.
func (c *Coordinator) Sync(ctx context.Context, group string, e Sync) SyncReply {
	if group == "" {
		return SyncReply{Err: ErrInvalidGroup}
	}
	r, err := ask[SyncReply](ctx, c, group, func(t Ticket) Event { e.Ticket = t; return e })
	if err != nil {
		return SyncReply{Err: err}
	}
	return r
}

// Heartbeat keeps a member's session; ErrRebalance tells it to join again.
func (c *Coordinator) Heartbeat(ctx context.Context, group string, e Heartbeat) error {
	if group == "" {
		return ErrInvalidGroup
	}
	r, err := ask[HeartbeatReply](ctx, c, group, func(t Ticket) Event { e.Ticket = t; return e })
	if errors.Is(err, ErrLoading) {
		return nil // whether it is a member will be known by the next one
	}
	if err != nil {
		return err
	}
	return r.Err
}

// Leave removes members.
func (c *Coordinator) Leave(ctx context.Context, group string, e Leave) LeaveReply {
	if group == "" {
		return LeaveReply{Err: ErrInvalidGroup}
	}
	r, err := ask[LeaveReply](ctx, c, group, func(t Ticket) Event { e.Ticket = t; return e })
	if err != nil {
		return LeaveReply{Err: err}
	}
	return r
}

// Commit stores offsets; it returns when they are durable.
func (c *Coordinator) Commit(ctx context.Context, group string, e Commit) CommitReply {
	start := time.Now()
	r, err := ask[CommitReply](ctx, c, group, func(t Ticket) Event { e.Ticket = t; return e })
	c.metrics.commitSeconds.Observe(time.Since(start).Seconds())
	if err != nil {
		return CommitReply{Err: err}
	}
	return r
}

// DeleteOffsets forgets offsets of topics that the group doesn't read.
func (c *Coordinator) DeleteOffsets(ctx context.Context, group string, topics []offsets.TopicPartitions) DeleteOffsetsReply {
	if group == "" {
		return DeleteOffsetsReply{Err: ErrInvalidGroup}
	}
	r, err := ask[DeleteOffsetsReply](ctx, c, group, func(t Ticket) Event { return DeleteOffsets{t, topics} })
	if err != nil {
		return DeleteOffsetsReply{Err: err}
	}
	return r
}

// Delete removes a group without members and its offsets.
func (c *Coordinator) Delete(ctx context.Context, group string) error {
	r, err := ask[DeleteReply](ctx, c, group, func(t Ticket) Event { return Delete{t} })
	if err != nil {
		return err
	}
	return r.Err
}
