package main

import (
	"context"
	"path"
	"strings"

	"github.com/spf13/cobra"
)

func topicCommand() *cobra.Command {
	return parent("topic", "Create, look at, change and delete topics",
		topicCreateCommand(), topicListCommand(), topicDescribeCommand(), topicAlterCommand(), topicDeleteCommand(), topicUndeleteCommand(), topicTrimCommand(), hidden(produceCommand()), hidden(consumeCommand()))
}

// topicRow is a topic in a list.
type topicRow struct {
	Topic       string `json:"topic"`
	ID          string `json:"topic_id"`
	Partitions  int    `json:"partitions"`
	Replication int    `json:"replication_factor"`
	Internal    bool   `json:"internal"`
}

func topicListCommand() *cobra.Command {
	var internal bool
	pattern := "*"
	c := asking[[]topicRow]{
		check: func(args []string) error {
			if len(args) > 0 {
				pattern = args[0]
			}
			if _, err := path.Match(pattern, ""); err != nil {
				return usagef("pattern %q: %w", pattern, err)
			}
			return nil
		},
		ask: func(ctx context.Context, adm *adminClient, _ []string) ([]topicRow, error) {
			found, err := adm.ListTopicsWithInternal(ctx)
			if err != nil {
				return nil, sayKafka("list topics", err, "")
			}
			rows := []topicRow{}
			for _, t := range found.Sorted() {
				if ok, _ := path.Match(pattern, t.Topic); ok && (internal || !t.IsInternal) {
					rows = append(rows, topicRow{t.Topic, topicID(t.ID), len(t.Partitions), t.Partitions.NumReplicas(), t.IsInternal})
				}
			}
			return rows, nil
		},
		show: func(t *table, rows []topicRow) {
			t.row("TOPIC", "PARTITIONS", "REPLICATION", "ID")
			for _, r := range rows {
				t.row(r.Topic, r.Partitions, r.Replication, orDash(r.ID))
			}
		},
	}.command(&cobra.Command{
		Use:     "list [PATTERN]",
		Aliases: []string{"ls"},
		Short:   "List topics",
		Long:    "List topics, all or those whose names match a pattern with * and ?.",
		Example: "  varve topic list\n  varve topic list 'orders-*' --json",
		Args:    cobra.MaximumNArgs(1),
	})
	c.Flags().BoolVar(&internal, "internal", false, "internal topics, too")
	return c
}

// topicID is Kafka's text form, or nothing where a broker has no ids.
func topicID(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return topicIDText(id)
}

// pairs reads key=value arguments.
func pairs(list []string, flag string) (map[string]*string, error) {
	out := map[string]*string{}
	for _, kv := range list {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, usagef("--%s %q: want NAME=VALUE", flag, kv)
		}
		if _, twice := out[k]; twice {
			return nil, usagef("--%s: %s is given twice", flag, k)
		}
		out[k] = &v
	}
	return out, nil
}

// asNamed returns the answers in the order in which the topics were named.
func asNamed[T any](names []string, answers map[string]T) (all []T) {
	given := map[string]bool{}
	for _, name := range names {
		if a, ok := answers[name]; ok && !given[name] {
			given[name] = true
			all = append(all, a)
		}
	}
	return all
}
