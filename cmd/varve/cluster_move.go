package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// movedPartition is what cluster move tells.
type movedPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	To        int32  `json:"to"`
}

func clusterMoveCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	c := &cobra.Command{
		Use:   "move TOPIC/PARTITION BROKER",
		Short: "Move a partition to another agent",
		Long: `Ask the owner of a partition to give it to another agent: it uploads what isn't in the
bucket yet, then hands it over. No history is copied. It returns when that is asked for;
'varve cluster status' and Kafka's own tools show what is still under way.`,
		Example: "  varve cluster move orders/3 2\n  varve cluster move orders:3 2",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := parseMove(args[0], args[1])
			if err != nil {
				return err
			}
			path := fmt.Sprintf("/v1/topics/%s/partitions/%d/move?to=%d", url.PathEscape(m.Topic), m.Partition, m.To)
			if _, err := askAgent[struct{}](c.Context(), http.MethodPost, at.addr, path); err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), m, func(t *table) {
				t.row(fmt.Sprintf("partition %d of topic %s goes to agent %d, if it isn't there already", m.Partition, m.Topic, m.To))
			})
		},
	}
	at.add(c)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return partitionNames(c, prefix)
		case 1:
			return at.brokers(c, nil, prefix)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	out.add(c, movedPartition{})
	return c
}

// partitionNames completes TOPIC/PARTITION: first the topic, of the brokers that
// VARVE_BROKERS names.
func partitionNames(c *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	k := kafkaFlags{timeout: requestTimeout}
	topic, _, chosen := strings.Cut(prefix, "/")
	if !chosen {
		names, _ := k.topicNames(c, nil, prefix)
		for i := range names {
			names[i] += "/"
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return k.complete(c, func(ctx context.Context, adm *adminClient) (names []string, err error) {
		found, err := adm.ListTopics(ctx, topic)
		for _, p := range found[topic].Partitions.Sorted() {
			names = append(names, fmt.Sprintf("%s/%d", topic, p.Partition))
		}
		return names, err
	}, prefix)
}

func parseMove(what, broker string) (*movedPartition, error) {
	topic, partitions, err := topicPartitions(what)
	if err != nil || len(partitions) != 1 {
		return nil, usagef("%q: want TOPIC/PARTITION, such as orders/3", what)
	}
	to, err := brokerID(broker)
	return &movedPartition{topic, partitions[0], to}, err
}
