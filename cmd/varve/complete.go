package main

import (
	"github.com/spf13/cobra"

	"varve/cluster"
)

// completeValues lets a shell complete a flag with one of some values.
func completeValues(c *cobra.Command, flag string, values ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that isn't there
}

// completeNames lets a shell complete a flag with names that the brokers know.
func completeNames(c *cobra.Command, flag string, names cobra.CompletionFunc) {
	_ = c.RegisterFlagCompletionFunc(flag, names)
}

// completeTopicSettings lets a shell complete a flag with the names of topics' settings.
func completeTopicSettings(c *cobra.Command, flag, after string) {
	_ = c.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, d := range cluster.TopicDefinitions() {
			names = append(names, d.Name+after+"\t"+d.Doc)
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

// noFiles keeps shells from offering files where arguments are none.
func noFiles(c *cobra.Command) {
	for _, child := range c.Commands() {
		noFiles(child)
	}
	if c.ValidArgsFunction == nil && c.Runnable() && !c.HasSubCommands() && (c.Parent() == nil || c.Parent().Name() != "dump") {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
}
