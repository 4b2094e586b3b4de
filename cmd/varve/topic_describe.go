package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"varve/internal/say"
)

// topicDetail is what topic describe tells.
type topicDetail struct {
	Topic       string            `json:"topic"`
	ID          string            `json:"topic_id"`
	Internal    bool              `json:"internal"`
	Replication int               `json:"replication_factor"`
	Records     int64             `json:"records"` // by offsets; -1 if not known
	Partitions  []partitionDetail `json:"partitions"`
	Configs     []configDetail    `json:"configs"`
}

// partitionDetail is one partition; offsets that are not known are -1.
type partitionDetail struct {
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Epoch     int32   `json:"leader_epoch"`
	Replicas  []int32 `json:"replicas"`
	ISR       []int32 `json:"isr"`
	Start     int64   `json:"start_offset"`
	Local     int64   `json:"local_start_offset"`
	Tiered    int64   `json:"latest_tiered_offset"`
	End       int64   `json:"end_offset"`
	Error     string  `json:"error,omitempty"`
}

// configDetail is a setting of a topic.
type configDetail struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

func topicDescribeCommand() *cobra.Command {
	var all bool
	c := asking[[]topicDetail]{
		names: (*kafkaFlags).topicNames,
		ask: func(ctx context.Context, adm *adminClient, names []string) ([]topicDetail, error) {
			return describeTopics(ctx, adm, names, all)
		},
		show: apart(topicDetail.print),
	}.command(&cobra.Command{
		Use:     "describe NAME...",
		Aliases: []string{"info", "show"},
		Short:   "Show partitions, offsets and settings of topics",
		Long: `Show partitions, offsets and settings of topics.

START is the first offset that can be read, LOCAL the first that an agent has on its
own disk, TIERED the last that is in the bucket, END the one after the last.
A dash is what the agent doesn't tell. Settings are those that differ from the
defaults, or all with --all-configs.`,
		Example: "  varve topic describe orders\n  varve topic describe orders --all-configs",
		Args:    cobra.MinimumNArgs(1),
	})
	c.Flags().BoolVar(&all, "all-configs", false, "settings with their defaults, too")
	return c
}

// describeTopics returns what it could find and the errors of the rest.
func describeTopics(ctx context.Context, adm *adminClient, names []string, allConfigs bool) ([]topicDetail, error) {
	found, err := adm.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, sayKafka("describe topics", err, "")
	}
	var errs []error
	var known []string
	for _, t := range found.Sorted() {
		if t.Err != nil {
			errs = append(errs, sayKafka("topic "+t.Topic, t.Err, ""))
			continue
		}
		known = append(known, t.Topic)
	}
	details := []topicDetail{}
	if len(known) == 0 {
		return details, errors.Join(errs...)
	}
	offsets := listAll(ctx, adm, known)
	configs, err := adm.DescribeTopicConfigs(ctx, known...)
	if err != nil {
		errs = append(errs, sayKafka("describe settings", err, ""))
	}
	for _, name := range known {
		d := describeOne(found[name], offsets)
		for _, rc := range configs {
			if rc.Name != name {
				continue
			}
			if rc.Err != nil {
				errs = append(errs, sayKafka("settings of topic "+name, rc.Err, rc.ErrMessage))
			}
			d.Configs = configDetails(rc.Configs, allConfigs)
		}
		details = append(details, d)
		errs = append(errs, d.leaderless())
	}
	return details, errors.Join(errs...)
}

// offsetLists are the four kinds of offsets; one that a broker does not know is
// nil.
type offsetLists struct{ start, local, tiered, end kadm.ListedOffsets }

func listAll(ctx context.Context, adm *adminClient, names []string) (l offsetLists) {
	l.start, _ = adm.ListStartOffsets(ctx, names...)
	l.end, _ = adm.ListEndOffsets(ctx, names...)
	l.local, _ = adm.ListLocalLogStartOffsets(ctx, names...)
	l.tiered, _ = adm.ListLatestRemoteOffsets(ctx, names...)
	return l
}

func describeOne(t kadm.TopicDetail, l offsetLists) topicDetail {
	d := topicDetail{Topic: t.Topic, ID: topicID(t.ID), Internal: t.IsInternal, Replication: t.Partitions.NumReplicas(), Partitions: []partitionDetail{}, Configs: []configDetail{}}
	at := func(o kadm.ListedOffsets, p int32) int64 {
		if x, ok := o.Lookup(t.Topic, p); ok && x.Err == nil {
			return x.Offset
		}
		return -1
	}
	for _, p := range t.Partitions.Sorted() {
		pd := partitionDetail{Partition: p.Partition, Leader: p.Leader, Epoch: p.LeaderEpoch, Replicas: p.Replicas, ISR: p.ISR,
			Start: at(l.start, p.Partition), Local: at(l.local, p.Partition), Tiered: at(l.tiered, p.Partition), End: at(l.end, p.Partition)}
		if p.Err != nil {
			pd.Error = p.Err.Error()
		}
		if pd.Start < 0 || pd.End < 0 || d.Records < 0 {
			d.Records = -1
		} else {
			d.Records += pd.End - pd.Start
		}
		d.Partitions = append(d.Partitions, pd)
	}
	return d
}

func configDetails(list []kadm.Config, all bool) []configDetail {
	out := []configDetail{}
	for _, c := range list {
		if source := c.Source.String(); all || source == "DYNAMIC_TOPIC_CONFIG" {
			out = append(out, configDetail{c.Key, c.Value, source})
		}
	}
	slices.SortFunc(out, func(a, b configDetail) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (d topicDetail) print(t *table) {
	t.row(fmt.Sprintf("topic %s  id %s  %s  %s", d.Topic, orDash(d.ID), say.Count(len(d.Partitions), "partition"), records(d.Records)))
	t.gap()
	t.row("PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "START", "LOCAL", "TIERED", "END")
	for _, p := range d.Partitions {
		t.row(p.Partition, number(p.Leader), number(p.Epoch), brokerList(p.Replicas), brokerList(p.ISR), number(p.Start), number(p.Local), number(p.Tiered), number(p.End)+inParentheses(p.Error))
	}
	if len(d.Configs) == 0 {
		return
	}
	t.gap()
	t.row("SETTING", "VALUE", "SOURCE")
	for _, c := range d.Configs {
		value := "<hidden>"
		if c.Value != nil {
			value = *c.Value
		}
		t.row(c.Name, value, c.Source)
	}
}

// leaderless reports that partitions have no leader: they can neither be written nor read.
func (d topicDetail) leaderless() error {
	n := 0
	for _, p := range d.Partitions {
		if p.Leader < 0 {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return sayKafka("topic "+d.Topic, kerr.LeaderNotAvailable, fmt.Sprintf("%s no leader; 'varve cluster health' says why", say.Count(n, "partition has", "partitions have")))
}

// records reports how many there are.
func records(n int64) string {
	if n < 0 {
		return dash + " records"
	}
	return say.Count(n, "record")
}
