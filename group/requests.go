package group

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"varve/coordinator"
	"varve/group/classic"
)

// Joins up to smallJoin may bring what the members of all groups of an agent hold to twice
// Config.MembersBytes.
const smallJoin = 16 << 10

// Join asks to be in the group's next generation; it waits for that, as long as
// the members' rebalance timeouts. Ticket and NewID are set here.
func (g *Groups) Join(ctx context.Context, group string, e classic.Join) classic.JoinReply {
	if group == "" {
		return classic.JoinReply{Err: ErrInvalidGroup, MemberID: e.MemberID, Generation: -1}
	}
	most := g.membersBytes
	if e.Size() <= smallJoin {
		most *= 2
	}
	if g.driver.Size()+int64(e.Size()) > most {
		return classic.JoinReply{Err: coordinator.ErrUnavailable, MemberID: e.MemberID, Generation: -1}
	}
	e.NewID = uuid.Must(uuid.NewRandomFromReader(g.random)).String()
	r, err := coordinator.Ask[classic.JoinReply](ctx, g.driver, group, func(t coordinator.Ticket) coordinator.Event { e.Ticket = t; return e })
	if err != nil {
		return classic.JoinReply{Err: err, MemberID: e.MemberID, Generation: -1}
	}
	return r
}

// Sync asks for the member's assignment; it waits for the leader's.
func (g *Groups) Sync(ctx context.Context, group string, e classic.Sync) classic.SyncReply {
	if group == "" {
		return classic.SyncReply{Err: ErrInvalidGroup}
	}
	r, err := coordinator.Ask[classic.SyncReply](ctx, g.driver, group, func(t coordinator.Ticket) coordinator.Event { e.Ticket = t; return e })
	if err != nil {
		return classic.SyncReply{Err: err}
	}
	return r
}

// Heartbeat keeps a member's session; ErrRebalance tells it to join again.
func (g *Groups) Heartbeat(ctx context.Context, group string, e classic.Heartbeat) error {
	if group == "" {
		return ErrInvalidGroup
	}
	r, err := coordinator.Ask[classic.HeartbeatReply](ctx, g.driver, group, func(t coordinator.Ticket) coordinator.Event { e.Ticket = t; return e })
	if errors.Is(err, coordinator.ErrLoading) {
		return nil // whether it is a member will be known by the next one
	}
	if err != nil {
		return err
	}
	return r.Err
}

// Leave removes members.
func (g *Groups) Leave(ctx context.Context, group string, e classic.Leave) classic.LeaveReply {
	if group == "" {
		return classic.LeaveReply{Err: ErrInvalidGroup}
	}
	r, err := coordinator.Ask[classic.LeaveReply](ctx, g.driver, group, func(t coordinator.Ticket) coordinator.Event { e.Ticket = t; return e })
	if err != nil {
		return classic.LeaveReply{Err: err}
	}
	return r
}

// Commit stores offsets; it returns when they are durable.
func (g *Groups) Commit(ctx context.Context, group string, e Commit) CommitReply {
	start := time.Now()
	r, err := coordinator.Ask[CommitReply](ctx, g.driver, group, func(t coordinator.Ticket) coordinator.Event { e.Ticket = t; return e })
	g.metrics.commitSeconds.Observe(time.Since(start).Seconds())
	if err != nil {
		return CommitReply{Err: err}
	}
	return r
}
