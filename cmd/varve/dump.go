package main

import "github.com/spf13/cobra"

func dumpCommand() *cobra.Command {
	return parent("dump", "Show what is stored, for people, without an agent")
}
