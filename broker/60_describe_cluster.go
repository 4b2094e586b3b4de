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
	return resp
}
