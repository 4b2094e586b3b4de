package main

import "github.com/spf13/cobra"

func supportCommand() *cobra.Command {
	return parent("support", "Gather what others need to help", supportBundleCommand())
}
