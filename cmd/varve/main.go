// Command varve is the broker, and the tools around it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		stop()
		exit(err)
	}
}

// exit says why the process ends, and ends it.
func exit(err error) {
	var quiet quietError
	if !errors.As(err, &quiet) {
		fmt.Fprintln(os.Stderr, "varve:", err)
	}
	os.Exit(exitCode(err))
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "varve",
		Short: "A Kafka-protocol broker whose log of record is object storage",
		Long: `Varve is a broker that speaks Apache Kafka's protocol and keeps its log in object storage.
This one program is the broker ('varve dev', 'varve agent') and the tools around it.

Exit codes: 0 well, 1 failed, 2 used wrongly, 3 not found, 4 timed out or not reachable.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          groupArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nSee '%s --help'", err, c.CommandPath())}
	})
	c.AddCommand(devCommand(), agentCommand(), configCommand(),
		topicCommand(), produceCommand(), consumeCommand(), groupCommand(), clusterCommand(), dumpCommand(), benchCommand())
	checkArgs(c)
	return c
}

// parent makes a command that only holds others.
func parent(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: groupArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(children...)
	return c
}

// groupArgs refuses names of commands that don't exist.
func groupArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command '%s %s'", c.CommandPath(), args[0])
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean '%s'?", near[0])
	}
	return usagef("%s\nSee '%s --help'", text, c.CommandPath())
}

// checkArgs makes wrong arguments of all commands errors of usage.
func checkArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			var usage usageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return usagef("%w\nUsage: %s", err, c.UseLine())
		}
	}
	for _, child := range c.Commands() {
		checkArgs(child)
	}
}
