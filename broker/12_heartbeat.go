// Heartbeat, versions 0 to 4: 3 static members (KIP-345).

package broker

import (
	"context"

	"varve/group/classic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeat keeps a member's session and tells it of a rebalance.
func (g *groupAPIs) heartbeat(ctx context.Context, c *caller, req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
	if !c.allowed(opRead, onGroup, req.Group) {
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return resp
	}
	resp.ErrorCode = groupCode(g.groups.Heartbeat(ctx, req.Group, classic.Heartbeat{
		MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation}))
	return resp
}
