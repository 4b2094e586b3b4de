// SyncGroup, versions 0 to 5: 3 static members (KIP-345), 5 protocol types (KIP-559).

package broker

import (
	"context"

	"varve/group/classic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncCode is a group's code. Clients don't expect COORDINATOR_LOAD_IN_PROGRESS here; as
// Kafka's broker does, they are sent back to join again.
func syncCode(err error) int16 {
	if code := groupCode(err); code != kerr.CoordinatorLoadInProgress.Code {
		return code
	}
	return kerr.RebalanceInProgress.Code
}

// syncGroup waits for the leader's assignment.
func (g *groupAPIs) syncGroup(ctx context.Context, c *caller, req *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
	if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) {
		resp.ErrorCode = kerr.InconsistentGroupProtocol.Code
		return resp
	}
	if !c.allowed(opRead, onGroup, req.Group) {
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return resp
	}
	sync := classic.Sync{MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation,
		ProtocolType: req.ProtocolType, Protocol: req.Protocol, Assignments: map[string][]byte{}}
	for _, a := range req.GroupAssignment {
		sync.Assignments[a.MemberID] = a.MemberAssignment
	}
	r := g.groups.Sync(ctx, req.Group, sync)
	resp.ErrorCode, resp.MemberAssignment = syncCode(r.Err), r.Assignment
	resp.ProtocolType, resp.Protocol = r.ProtocolType, r.Protocol
	return resp
}
