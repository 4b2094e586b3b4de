// ListConfigResources, versions 0 to 1: 0 subscriptions to clients' metrics (KIP-714), 1 all kinds
// of resources (KIP-1142).

package broker

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
)

// listedKinds are the kinds of resources that are listed if none is named.
var listedKinds = []int8{int8(kmsg.ConfigResourceTypeTopic), int8(kmsg.ConfigResourceTypeBroker), int8(kmsg.ConfigResourceTypeBrokerLogger), int8(kmsg.ConfigResourceTypeClientMetrics), int8(kmsg.ConfigResourceTypeGroupConfig)}

func (api *configAPIs) listConfigResources(_ context.Context, c *caller, req *kmsg.ListConfigResourcesRequest) *kmsg.ListConfigResourcesResponse {
	resp := kmsg.NewPtrListConfigResourcesResponse()
	if !c.allowed(opDescribeConfigs, onCluster, theCluster) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		return resp
	}
	kinds := req.ResourceTypes
	switch {
	case req.Version == 0:
		kinds = []int8{int8(kmsg.ConfigResourceTypeClientMetrics)}
	case len(kinds) == 0:
		kinds = listedKinds
	}
	for _, kind := range kinds {
		if !slices.Contains(listedKinds, kind) {
			resp.ErrorCode = kerr.UnsupportedVersion.Code
			return resp
		}
	}
	for _, kind := range listedKinds { // each once: a request may name one a million times
		if !slices.Contains(kinds, kind) {
			continue
		}
		for _, name := range api.resources(kmsg.ConfigResourceType(kind)) {
			r := kmsg.NewListConfigResourcesResponseConfigResource()
			r.Name, r.Type = name, kind
			resp.ConfigResources = append(resp.ConfigResources, r)
		}
	}
	return resp
}

// resources lists the names of one kind of resources that have settings.
func (api *configAPIs) resources(kind kmsg.ConfigResourceType) (names []string) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		for _, t := range api.view.Topics() {
			names = append(names, t.Name)
		}
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
		for _, a := range api.view.Agents() {
			names = append(names, a.Broker.String())
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		names = cluster.ConfiguredGroups(api.view)
	default:
		names = slices.Collect(maps.Keys(cluster.ClientMetrics(api.view)))
	}
	slices.Sort(names)
	return names
}
