package main

import (
	"github.com/spf13/cobra"
)

// topicsFlag lets topics be named by a flag, too, as in kcat.
func topicsFlag(c *cobra.Command, complete cobra.CompletionFunc) {
	var named []string
	c.Flags().StringArrayVarP(&named, "topic", "t", nil, "a topic, the same as an argument")
	completeNames(c, "topic", complete)
	check, run := c.Args, c.RunE
	c.Args = func(c *cobra.Command, args []string) error {
		return check(c, append(args[:len(args):len(args)], named...))
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return run(c, append(args[:len(args):len(args)], named...))
	}
}
