// DescribeLogDirs, versions 1 to 5: 3 an error of the whole answer (KIP-784), 4 size and
// free space of a volume (KIP-827), 5 cordoned directories (KIP-1066).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
)

// tierDir is the name under which the tier is listed as a log dir.
const tierDir = "tier"

// logDirAPI serves DescribeLogDirs.
type logDirAPI struct {
	opening    *opening
	view       *cluster.View
	partitions Partitions
	journal    Journal
	dataDir    string
}

// describeLogDirs shows two directories: the journals' on this agent's disk, and
// the tier, which holds the history of the partitions that the agent owns.
func (api *logDirAPI) describeLogDirs(ctx context.Context, c *caller, req *kmsg.DescribeLogDirsRequest) *kmsg.DescribeLogDirsResponse {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	if err := c.check(opDescribe, onCluster, theCluster); err != nil {
		resp.ErrorCode = codeOf(err).Code
		return resp
	}
	local, tier := kmsg.NewDescribeLogDirsResponseDir(), kmsg.NewDescribeLogDirsResponseDir()
	local.Dir, tier.Dir = api.dataDir, tierDir
	local.TotalBytes, local.UsableBytes, tier.TotalBytes, tier.UsableBytes = -1, -1, -1, -1
	if free, total, err := api.journal.Space(); err == nil {
		local.TotalBytes, local.UsableBytes = total, free
	}
	for _, t := range api.wantedTopics(ctx, req) {
		lt, tt := kmsg.NewDescribeLogDirsResponseDirTopic(), kmsg.NewDescribeLogDirsResponseDirTopic()
		lt.Topic, tt.Topic = t.topic.Name, t.topic.Name
		for _, index := range t.partitions {
			p := api.partitions.Get(id.Partition{Topic: t.topic.ID, Index: index})
			if p == nil {
				continue
			}
			localBytes, tierBytes := p.Sizes()
			lp, tp := kmsg.NewDescribeLogDirsResponseDirTopicPartition(), kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			lp.Partition, lp.Size = index, localBytes
			tp.Partition, tp.Size = index, tierBytes
			lt.Partitions, tt.Partitions = append(lt.Partitions, lp), append(tt.Partitions, tp)
		}
		if len(lt.Partitions) > 0 {
			local.Topics, tier.Topics = append(local.Topics, lt), append(tier.Topics, tt)
		}
	}
	resp.Dirs = []kmsg.DescribeLogDirsResponseDir{local, tier}
	return resp
}

type wantedTopic struct {
	topic      *cluster.Topic
	partitions []int32
}

// wantedTopics are those that the request names, or all.
func (api *logDirAPI) wantedTopics(ctx context.Context, req *kmsg.DescribeLogDirsRequest) (out []wantedTopic) {
	if req.Topics == nil {
		for _, t := range api.view.Topics() {
			out = append(out, wantedTopic{t, indexes(t.Partitions)})
		}
		return out
	}
	for _, want := range req.Topics {
		t, err := api.opening.topic(ctx, false, want.Topic, id.Topic{})
		if err != nil {
			continue
		}
		out = append(out, wantedTopic{t, want.Partitions})
	}
	return out
}

func indexes(n int32) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i)
	}
	return all
}
