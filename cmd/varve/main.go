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
		var quiet quietError
		if !errors.As(err, &quiet) {
			fmt.Fprintln(os.Stderr, "varve:", err)
		}
		stop()
		os.Exit(exitCode(err))
	}
}

// quietError ends the program with a code; what there was to say was said.
type quietError struct{ code int }

func (e quietError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// Exit codes: 0 well, 1 failed, 2 used wrongly.
func exitCode(err error) int {
	var quiet quietError
	var usage usageError
	switch {
	case errors.As(err, &quiet):
		return quiet.code
	case errors.As(err, &usage):
		return 2
	}
	return 1
}

// usageError is about the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "varve",
		Short:         "A Kafka-protocol broker whose log of record is object storage",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nSee '%s --help'", err, c.CommandPath())}
	})
	c.AddCommand(devCommand(), agentCommand(), configCommand())
	return c
}
