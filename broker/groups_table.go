package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// groupTable lists the APIs of consumer groups.
func groupTable(g *groupAPIs) []*api {
	return []*api{
		{key: kmsg.OffsetCommit, min: 2, max: 10, needs: []access{{opRead, onGroup}, {opRead, onTopic}}, serve: on(g.offsetCommit), stores: true, check: checkCommit, most: func(c *Config) int { return min(c.MaxCommitBytes, c.MaxRequestBytes) }},
		{key: kmsg.OffsetFetch, min: 1, max: 10, needs: []access{{opDescribe, onGroup}, {opDescribe, onTopic}}, serve: on(g.offsetFetch)},
		{key: kmsg.FindCoordinator, min: 0, max: 6, needs: []access{{opDescribe, onGroup}, {opDescribe, onTransactionalID}}, serve: on(g.findCoordinator), note: "groups; no transactional ids"},
		{key: kmsg.JoinGroup, min: 0, max: 9, needs: []access{{opRead, onGroup}}, serve: on(g.joinGroup), waits: true},
		{key: kmsg.Heartbeat, min: 0, max: 4, needs: []access{{opRead, onGroup}}, serve: on(g.heartbeat)},
		{key: kmsg.LeaveGroup, min: 0, max: 5, needs: []access{{opRead, onGroup}}, serve: on(g.leaveGroup), stores: true},
		{key: kmsg.SyncGroup, min: 0, max: 5, needs: []access{{opRead, onGroup}}, serve: on(g.syncGroup), waits: true},
		{key: kmsg.DescribeGroups, min: 0, max: 6, needs: []access{{opDescribe, onGroup}}, serve: on(g.describeGroups), note: "classic groups"},
		{key: kmsg.ListGroups, min: 0, max: 5, needs: []access{{opDescribe, onCluster}, {opDescribe, onGroup | instead}}, serve: on(g.listGroups), note: "classic groups"},
		{key: kmsg.OffsetDelete, min: 0, max: 0, needs: []access{{opDelete, onGroup}, {opRead, onTopic}}, serve: on(g.offsetDelete), stores: true},
		{key: kmsg.DeleteGroups, min: 0, max: 2, needs: []access{{opDelete, onGroup}}, serve: on(g.deleteGroups), stores: true},
	}
}
