package main

import (
	"github.com/spf13/cobra"
)

// completeValues lets a shell complete a flag with one of some values.
func completeValues(c *cobra.Command, flag string, values ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that isn't there
}

// completeNames lets a shell complete a flag with names that the brokers know.
func completeNames(c *cobra.Command, flag string, names cobra.CompletionFunc) {
	_ = c.RegisterFlagCompletionFunc(flag, names)
}
