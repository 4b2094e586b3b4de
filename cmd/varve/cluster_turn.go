package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"varve/agent"
)

// turnPatience is how long one wait of cluster turn takes by default.
const turnPatience = 10 * time.Minute

func clusterTurnCommand() *cobra.Command {
	var at httpFlag
	var file string
	var limit time.Duration
	var lockOnly bool
	c := &cobra.Command{
		Use:   "turn -- COMMAND [ARGUMENT...]",
		Short: "Run a command that interrupts this host's agent, when it is its turn",
		Long: `Run a command that interrupts this host's agent, such as a restart, when it is its turn:
of all hosts on which 'varve cluster turn' runs at the same time, one after the other runs
its command. It may be started on all hosts at once, by Terraform, Ansible or a loop over ssh.

It reads from the agent's configuration which agent this is and where etcd is. It takes a lock
in etcd, waits until all expected agents serve and this one may be stopped, runs the command,
waits until this agent serves and any one agent may be stopped, and releases the lock. If it
is killed, the lock is released within 15 seconds. An agent that isn't running interrupts nobody:
then the command runs at once, without the lock, and only the waiting afterwards is the same.
With --lock-only there is no waiting for health, only for the lock: for commands that see to
that themselves, as 'varve cluster drain --wait' does.

The command must return after the old process has ended, as 'systemctl restart' does.
Agents are asked over HTTP at the addresses that they have registered, or at --http. The exit
code is the command's if it fails, and 4 if a wait took longer than --timeout; then agents that
come later in turn aren't interrupted either, until the cluster is well again.`,
		Example: "  varve cluster turn --config /etc/varve/varve.yaml -- systemctl restart varve\n  varve cluster turn --config /etc/varve/varve.yaml --tls-ca /etc/varve/ca.crt --user admin --password-file admin.password -- systemctl restart varve\n" +
			"  varve cluster turn --config /etc/varve/varve.yaml --lock-only -- sh -c 'varve cluster drain 3 --wait && systemctl stop varve'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if limit <= 0 {
				return usagef("--timeout is %v: must be more than 0", limit)
			}
			cfg, err := (&configFlags{file: file, defaults: agent.SharedConfig()}).read()
			if err != nil {
				return usageError{err}
			}
			wait := etcdWait{log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))}
			defer wait.close()
			opening, stop := context.WithTimeout(c.Context(), limit)
			defer stop()
			store, err := wait.open(opening, cfg.Metadata, prometheus.NewRegistry())
			if err != nil && errors.Is(opening.Err(), context.DeadlineExceeded) {
				return latef("etcd at %s doesn't answer after %v: %v", strings.Join(cfg.Metadata.Endpoints, ", "), limit, err)
			}
			if err != nil {
				return err
			}
			t := &turn{store: store, broker: cfg.BrokerID, lockOnly: lockOnly, limit: limit, said: c.ErrOrStderr()}
			if c.Flags().Changed("http") || os.Getenv(httpVariable) != "" {
				t.http = at.addr
			}
			return t.take(c.Context(), func(ctx context.Context) error { return runCommand(ctx, c, args) })
		},
	}
	at.addAddress(c)
	c.Flags().StringVar(&file, "config", "", "the agent's configuration file (environment: "+configVariable+"); its other variables count as well")
	c.Flags().DurationVar(&limit, "timeout", turnPatience, "how long to wait for the cluster's health, before the command and after it")
	c.Flags().BoolVar(&lockOnly, "lock-only", false, "don't wait for health")
	return c
}

// commandPatience is how long a command may take to end after it was told to.
const commandPatience = time.Minute

// runCommand runs a command of the user's. Its exit code is that of an error.
func runCommand(ctx context.Context, c *cobra.Command, args []string) error {
	run := exec.CommandContext(ctx, args[0], args[1:]...)
	run.Stdin, run.Stdout, run.Stderr = c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr()
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	run.WaitDelay = commandPatience
	err := run.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "varve: %s: %v\n", args[0], err)
		return quietError{exit.ExitCode()}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", args[0], err)
	}
	return nil
}
