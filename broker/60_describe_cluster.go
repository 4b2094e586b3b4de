// DescribeCluster, versions 0 to 2: 0 the cluster (KIP-700), 1 controllers (KIP-919), 2
// fenced brokers (KIP-1073).

package broker

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (api *metadataAPIs) describeCluster(_ context.Context, c *caller, req *kmsg.DescribeClusterRequest) *kmsg.DescribeClusterResponse {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.EndpointType = 1
	resp.ClusterAuthorizedOperations = noOperations
	if req.Version >= 1 && req.EndpointType != 1 {
		resp.ErrorCode = kerr.MismatchedEndpointType.Code
		resp.ErrorMessage = said(errors.New("this is a broker, not a controller listener"))
		return resp
	}
	resp.ClusterID, resp.ControllerID = api.clusterID, api.directory.controller()
	for _, a := range api.view.Agents() {
		if host, port, rack, ok := pick(a, c.listener, c.reached); ok {
			n := kmsg.NewDescribeClusterResponseBroker()
			n.NodeID, n.Host, n.Port, n.Rack = int32(a.Broker), host, port, rack
			resp.Brokers = append(resp.Brokers, n)
		}
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations(c)
	}
	return resp
}

// clusterOperations returns what the caller may do with the cluster; nothing is shown to
// who may not describe it.
func clusterOperations(c *caller) int32 {
	if !c.allowed(opDescribe, onCluster, theCluster) {
		return 0
	}
	return c.operations(onCluster, theCluster)
}
