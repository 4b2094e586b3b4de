package main

import "github.com/spf13/cobra"

func clusterCommand() *cobra.Command {
	return parent("cluster", "Look at the cluster, and operate it", clusterStatusCommand(), clusterHealthCommand(), clusterInfoCommand(), clusterBalanceCommand(),
		clusterDrainCommand(), clusterUndrainCommand(), clusterMoveCommand(), clusterTurnCommand(), clusterForgetCommand(), clusterReplaceCommand(), clusterFinalizeCommand(), clusterAcceptLossCommand())
}
