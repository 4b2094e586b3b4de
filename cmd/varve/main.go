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
	_ "golang.org/x/crypto/x509roots/fallback" // where the system has no authorities, as in an image with nothing else in it
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		stop()
		exit(err)
	}
}

// exit prints why the process ends, and ends it.
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
		Long: `Varve speaks Apache Kafka's protocol and keeps its log in object storage. This one program
is the agent that serves ('varve dev', 'varve agent') and the tools around it.

Commands find Kafka brokers by --brokers or ` + brokersVariable + `, and an agent's HTTP by --http or
` + httpVariable + `. 'varve profile' keeps these, TLS and users by name.

Exit codes: 0 success, 1 failure, 2 usage error, 3 not found, 4 timed out or not reachable.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          groupArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetFlagErrorFunc(flagError)
	c.AddCommand(devCommand(), agentCommand(), configCommand(),
		alsoCalled(topicCommand(), "topics"), produceCommand(), consumeCommand(), alsoCalled(groupCommand(), "groups"), alsoCalled(userCommand(), "users"), alsoCalled(tokenCommand(), "tokens"), alsoCalled(aclCommand(), "acls"), alsoCalled(quotaCommand(), "quotas"), clusterCommand(), tierCommand(), dumpCommand(), benchCommand(), doctorCommand(), topCommand(), supportCommand(), profileCommand(), certCommand(), readyCommand(), versionCommand(), manCommand())
	checkArgs(c)
	noFiles(c)
	return c
}

// parent makes a command that only holds others.
func parent(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: groupArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(children...)
	return c
}
