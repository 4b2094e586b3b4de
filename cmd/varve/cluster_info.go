package main

import (
	"context"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"varve/internal/say"
)

// clusterInfo is what cluster info tells: what Kafka's clients see.
type clusterInfo struct {
	Cluster    string       `json:"cluster"`
	Controller int32        `json:"controller"`
	Brokers    []brokerInfo `json:"brokers"`
	Topics     int          `json:"topics"` // without internal ones
	Partitions int          `json:"partitions"`
	Leaderless int          `json:"partitions_without_leader"`
}

// brokerInfo is an agent as clients see it.
type brokerInfo struct {
	Broker  int32  `json:"broker"`
	Address string `json:"address"`
	Rack    string `json:"rack,omitempty"`
}

func clusterInfoCommand() *cobra.Command {
	return asking[*clusterInfo]{
		ask: func(ctx context.Context, adm *adminClient, _ []string) (*clusterInfo, error) {
			m, err := adm.Metadata(ctx)
			if err != nil {
				return nil, sayKafka("look up the cluster", err, "")
			}
			i := &clusterInfo{Cluster: m.Cluster, Controller: m.Controller, Brokers: []brokerInfo{}}
			for _, b := range m.Brokers {
				row := brokerInfo{Broker: b.NodeID, Address: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))}
				if b.Rack != nil {
					row.Rack = *b.Rack
				}
				i.Brokers = append(i.Brokers, row)
			}
			for _, t := range m.Topics {
				if t.IsInternal {
					continue
				}
				i.Topics++
				i.Partitions += len(t.Partitions)
				for _, p := range t.Partitions {
					if p.Leader < 0 {
						i.Leaderless++
					}
				}
			}
			return i, nil
		},
		show: func(t *table, i *clusterInfo) {
			t.row("cluster "+i.Cluster, say.Count(i.Topics, "topic"), say.Count(i.Partitions, "partition"), strconv.Itoa(i.Leaderless)+" without leader")
			t.gap()
			t.row("BROKER", "ADDRESS", "RACK")
			for _, b := range i.Brokers {
				id := strconv.Itoa(int(b.Broker))
				if b.Broker == i.Controller {
					id += "*"
				}
				t.row(id, b.Address, orDash(b.Rack))
			}
			t.row("* the controller")
		},
	}.command(&cobra.Command{
		Use:     "info",
		Aliases: []string{"metadata", "brokers"},
		Short:   "Show the brokers and the controller, as Kafka clients see them",
		Example: "  varve cluster info",
		Args:    cobra.NoArgs,
	})
}
