package meter

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Partition is a partition that this agent leads, and where its log begins and ends.
type Partition struct {
	Topic             string
	Index             int32
	Oldest, High      int64 // log start offset and high watermark
	Replicas, InSync  int
	PartitionsOfTopic int32
}

// Partitions tells of the partitions that this agent leads, at the moment that it is asked, under
// the names of kafka_exporter. It asks nobody else.
type Partitions struct {
	most   int
	leader float64
	all    func() []Partition
}

// NewPartitions makes a collector of at most that many partitions; leader is this agent's broker
// id.
func NewPartitions(most int, leader int32, all func() []Partition) *Partitions {
	return &Partitions{most: most, leader: float64(leader), all: all}
}

var (
	partitionsOfTopic  = prometheus.NewDesc("kafka_topic_partitions", "Partitions of a topic. Reported by the leader of its partition 0.", []string{"topic"}, nil)
	partitionEnd       = partitionDesc("current_offset", "High watermark of a partition. Reported by its leader, as all of kafka_topic_partition.")
	partitionOldest    = partitionDesc("oldest_offset", "Log start offset of a partition.")
	partitionLeader    = partitionDesc("leader", "Broker id of a partition's leader.")
	partitionReplicas  = partitionDesc("replicas", "Members of the journal that keeps a partition's newest records.")
	partitionInSync    = partitionDesc("in_sync_replica", "Live members of the journal that keeps a partition's newest records.")
	partitionUnder     = partitionDesc("under_replicated_partition", "1 if a member of the journal that keeps a partition's newest records is not live, else 0.")
	droppedOfPartition = prometheus.NewDesc("varve_partitions_without_series", "Partitions that this agent leads without series of kafka_topic_partition, because there are more than metrics.max_partitions.", nil, nil)
)

func partitionDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("kafka_topic_partition_"+name, help, []string{"topic", "partition"}, nil)
}

// Describe implements prometheus.Collector.
func (p *Partitions) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{partitionsOfTopic, partitionEnd, partitionOldest, partitionLeader, partitionReplicas, partitionInSync, partitionUnder, droppedOfPartition} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *Partitions) Collect(ch chan<- prometheus.Metric) {
	if p.most == 0 {
		return
	}
	all := p.all()
	dropped := max(0, len(all)-p.most)
	if dropped > 0 { // the same ones have series each time
		slices.SortFunc(all, func(a, b Partition) int { return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Index, b.Index)) })
	}
	for _, one := range all[:len(all)-dropped] {
		p.collect(ch, one)
	}
	ch <- prometheus.MustNewConstMetric(droppedOfPartition, prometheus.GaugeValue, float64(dropped))
}

func (p *Partitions) collect(ch chan<- prometheus.Metric, one Partition) {
	index, under := strconv.Itoa(int(one.Index)), 0.0
	if one.InSync < one.Replicas {
		under = 1
	}
	for _, v := range []struct {
		of *prometheus.Desc
		is float64
	}{{partitionEnd, float64(one.High)}, {partitionOldest, float64(one.Oldest)}, {partitionLeader, p.leader},
		{partitionReplicas, float64(one.Replicas)}, {partitionInSync, float64(one.InSync)}, {partitionUnder, under}} {
		ch <- prometheus.MustNewConstMetric(v.of, prometheus.GaugeValue, v.is, one.Topic, index)
	}
	if one.Index == 0 {
		ch <- prometheus.MustNewConstMetric(partitionsOfTopic, prometheus.GaugeValue, float64(one.PartitionsOfTopic), one.Topic)
	}
}
