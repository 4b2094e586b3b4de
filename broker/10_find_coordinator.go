// FindCoordinator, versions 0 to 6: 1 kinds of coordinators (KIP-98), 4 several keys
// (KIP-699), 6 share groups (KIP-932), of which there are none yet.

package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kinds of coordinators.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
)

// findCoordinator names the agents that coordinate groups. A transactional producer is
// refused for good. librdkafka, which asks in versions below 4, repeats itself for ever
// after any error but that of a missing permission, so that is what it gets.
func (g *groupAPIs) findCoordinator(_ context.Context, c *caller, req *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	if req.Version < 4 {
		r := g.coordinatorOf(c, req.CoordinatorType, req.CoordinatorKey)
		if req.CoordinatorType == coordinatorTransaction {
			r.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		}
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = r.ErrorCode, r.ErrorMessage, r.NodeID, r.Host, r.Port
		return resp
	}
	for _, key := range req.CoordinatorKeys {
		resp.Coordinators = append(resp.Coordinators, g.coordinatorOf(c, req.CoordinatorType, key))
	}
	return resp
}

func (g *groupAPIs) coordinatorOf(c *caller, kind int8, key string) kmsg.FindCoordinatorResponseCoordinator {
	r := kmsg.NewFindCoordinatorResponseCoordinator()
	r.Key, r.NodeID, r.Port = key, -1, -1
	refuse := func(e *kerr.Error, message string) kmsg.FindCoordinatorResponseCoordinator {
		r.ErrorCode, r.ErrorMessage = e.Code, &message
		return r
	}
	switch kind {
	case coordinatorGroup:
		if !c.allowed(opDescribe, onGroup, key) {
			return refuse(kerr.GroupAuthorizationFailed, kerr.GroupAuthorizationFailed.Description)
		}
	case coordinatorTransaction:
		if !c.allowed(opDescribe, onTransactionalID, key) {
			return refuse(kerr.TransactionalIDAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed.Description)
		}
		return refuse(kerr.InvalidRequest, "transactions are not supported")
	default:
		return refuse(kerr.InvalidRequest, fmt.Sprintf("coordinators of type %d are not supported", kind))
	}
	broker, host, port, ok := g.coordinators.Coordinator(key, c.listener, c.reached)
	if !ok {
		return refuse(kerr.CoordinatorNotAvailable, kerr.CoordinatorNotAvailable.Description)
	}
	r.NodeID, r.Host, r.Port = int32(broker), host, port
	return r
}
