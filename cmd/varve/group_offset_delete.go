package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// deletedOffset is what group offset-delete did in one partition.
type deletedOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Deleted   bool   `json:"deleted"`
	Error     string `json:"error,omitempty"`
}

func groupOffsetDeleteCommand() *cobra.Command {
	var f resetFlags
	c := &cobra.Command{
		Use:     "offset-delete NAME",
		Aliases: []string{"delete-offsets"},
		Short:   "Delete a group's offsets of topics",
		Long: `Delete a group's committed offsets of topics, or of some of their partitions. The group may
have members, but none that is subscribed to these topics.`,
		Example: "  varve group offset-delete readers --topic orders\n  varve group offset-delete readers --topic orders:0,3",
		Args:    cobra.ExactArgs(1),
	}
	asking[[]deletedOffset]{
		names: (*kafkaFlags).groupNames,
		check: func([]string) error {
			if len(f.topics) == 0 {
				return usagef("--topic is missing")
			}
			_, err := f.wanted(nil)
			return err
		},
		ask: f.deleteOffsets,
		show: func(t *table, rows []deletedOffset) {
			t.row("TOPIC", "PARTITION", "RESULT")
			for _, r := range rows {
				result := "deleted"
				if !r.Deleted {
					result = r.Error
				}
				t.row(r.Topic, r.Partition, result)
			}
		},
	}.command(c)
	c.Flags().StringArrayVarP(&f.topics, "topic", "t", nil, "a topic, or some of its partitions, like orders:0,3-5; may be repeated")
	return c
}

func (f *resetFlags) deleteOffsets(ctx context.Context, adm *adminClient, args []string) ([]deletedOffset, error) {
	group := args[0]
	committed, err := adm.FetchOffsets(ctx, group)
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		return nil, sayKafka("group "+group, err, "")
	}
	wanted, err := f.wanted(nil)
	if err != nil {
		return nil, err
	}
	var set kadm.TopicsSet
	for topic, partitions := range wanted {
		if len(partitions) == 0 {
			partitions = slices.Collect(maps.Keys(committed[topic]))
		}
		for _, p := range partitions {
			if _, ok := committed.Lookup(topic, p); !ok {
				return nil, notFoundError{fmt.Sprintf("group %s has no offset of partition %d of topic %s", group, p, topic)}
			}
			set.Add(topic, p)
		}
	}
	if len(set) == 0 {
		return nil, notFoundError{fmt.Sprintf("group %s has no offsets of these topics", group)}
	}
	answers, err := adm.DeleteOffsets(ctx, group, set)
	if err != nil {
		return nil, sayKafka("delete offsets of group "+group, err, "")
	}
	rows := []deletedOffset{}
	var errs []error
	for _, t := range set.Sorted() {
		for _, p := range t.Partitions {
			r := deletedOffset{Topic: t.Topic, Partition: p, Deleted: true}
			if err := answers[t.Topic][p]; err != nil {
				r.Deleted, r.Error = false, err.Error()
				errs = append(errs, sayKafka(fmt.Sprintf("delete the offset of partition %d of %s", p, t.Topic), err, ""))
			}
			rows = append(rows, r)
		}
	}
	return rows, errors.Join(errs...)
}
