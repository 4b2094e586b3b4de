// JoinGroup, versions 0 to 9: 1 rebalance timeouts (KIP-62), 4 member ids first
// (KIP-394), 5 static members (KIP-345), 7 protocol types (KIP-559), 8 reasons (KIP-800),
// 9 leaders that needn't assign (KIP-814).

package broker

import (
	"bytes"
	"context"

	"varve/group/classic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinGroup waits until the group's next generation begins.
func (g *groupAPIs) joinGroup(ctx context.Context, c *caller, req *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	if !c.allowed(opRead, onGroup, req.Group) {
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		resp.Generation = -1
		return resp
	}
	join := classic.Join{MemberID: req.MemberID, InstanceID: req.InstanceID, ClientID: c.clientID, ClientHost: "/" + c.host,
		SessionTimeout: millis(req.SessionTimeoutMillis), RebalanceTimeout: millis(req.RebalanceTimeoutMillis),
		ProtocolType: req.ProtocolType, RequireMemberID: req.Version >= 4, CanSkip: req.Version >= 9}
	if req.Version < 1 {
		join.RebalanceTimeout = join.SessionTimeout
	}
	if req.Reason != nil {
		join.Reason = *req.Reason
	}
	for _, p := range req.Protocols {
		// A copy: a member keeps it for long, and not the whole request.
		join.Protocols = append(join.Protocols, classic.Protocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)})
	}
	r := g.groups.Join(ctx, req.Group, join)
	resp.ErrorCode, resp.MemberID, resp.Generation = groupCode(r.Err), r.MemberID, r.Generation
	resp.ProtocolType, resp.Protocol = r.ProtocolType, r.Protocol
	resp.LeaderID, resp.SkipAssignment = r.Leader, r.SkipAssignment
	for _, m := range r.Members {
		rm := kmsg.NewJoinGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ProtocolMetadata = m.MemberID, m.InstanceID, m.Metadata
		resp.Members = append(resp.Members, rm)
	}
	return resp
}
