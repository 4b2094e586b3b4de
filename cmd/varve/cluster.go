package main

import "github.com/spf13/cobra"

func clusterCommand() *cobra.Command {
	return parent("cluster", "Look at the cluster, and operate it", clusterStatusCommand(), clusterHealthCommand(), clusterBalanceCommand(),
		clusterDrainCommand(), clusterUndrainCommand(), clusterMoveCommand(), clusterForgetCommand(), clusterAcceptLossCommand())
}
