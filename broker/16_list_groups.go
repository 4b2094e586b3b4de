// ListGroups, versions 0 to 5: 4 filters by state (KIP-518), 5 by type (KIP-848).

package broker

import (
	"context"
	"slices"
	"strings"

	"varve/group/classic"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listGroups shows the groups that this agent coordinates, of the states and
// types that are asked for: all for who may describe the cluster, else those that the
// caller may describe.
func (g *groupAPIs) listGroups(ctx context.Context, c *caller, req *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	all, err := g.groups.List(ctx)
	if err != nil {
		resp.ErrorCode = groupCode(err)
		return resp
	}
	wanted := func(filter []string, is string) bool {
		return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, is) })
	}
	if !wanted(req.TypesFilter, classic.Type) {
		return resp
	}
	everything := c.may(opDescribe, onCluster, theCluster)
	for _, l := range all {
		if !wanted(req.StatesFilter, l.State.String()) || !everything && !c.may(opDescribe, onGroup, l.Group) {
			continue
		}
		rg := kmsg.NewListGroupsResponseGroup()
		rg.Group, rg.ProtocolType, rg.GroupState, rg.GroupType = l.Group, l.ProtocolType, l.State.String(), classic.Type
		resp.Groups = append(resp.Groups, rg)
	}
	return resp
}
