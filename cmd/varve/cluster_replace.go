package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"varve/admin"
	"varve/health"
	"varve/internal/backoff"
)

// replacedAgent is what cluster replace tells.
type replacedAgent struct {
	Old     int32 `json:"old"`
	New     int32 `json:"new"`
	Drained bool  `json:"drained"` // the old agent was; false: it was gone already
}

// replacement is the way from one agent to another.
type replacement struct {
	at       httpFlag
	out      jsonFlag
	limit    time.Duration
	old, new int32
	stop     []string // the command that stops the old agent; empty: someone does it
	said     io.Writer
}

func clusterReplaceCommand() *cobra.Command {
	var r replacement
	c := &cobra.Command{
		Use:   "replace OLD NEW [-- COMMAND...]",
		Short: "Put another agent in the place of one, step by step",
		Long: `Put another agent in the place of one, for good, and say how far that is:

  1. The new agent has joined. The command waits for it; start it on its host.
  2. The old agent is drained: everything moves off it. One that is gone can't be: others take over what it had.
  3. The old agent is stopped: by the command that is given, or by you when this command asks for it.
  4. The old agent is forgotten, and the cluster is healthy without it. If there are records that only its disk
     had, the cluster isn't, and this command says so.

Interrupt it when you like: run it again, and it goes on. An old agent that was drained stays so until
'varve cluster undrain'. The exit code is 0 when all is done, 4 when a step took too long.`,
		Example: "  varve cluster replace 3 4\n  varve cluster replace 3 4 -- ssh host-3 sudo systemctl disable --now varve",
		Args: func(c *cobra.Command, args []string) error {
			if names := c.ArgsLenAtDash(); names >= 0 {
				args = args[:names]
			}
			return cobra.ExactArgs(2)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) (err error) {
			if r.old, err = brokerID(args[0]); err != nil {
				return err
			}
			if r.new, err = brokerID(args[1]); err != nil {
				return err
			}
			if r.old == r.new {
				return usagef("OLD and NEW are both %d: a machine that comes back under the same number needs no replacement; start it", r.old)
			}
			r.stop, r.said = args[2:], c.ErrOrStderr()
			done, err := r.run(c.Context())
			if err != nil {
				return err
			}
			return r.out.write(c.OutOrStdout(), done, func(t *table) { t.row(fmt.Sprintf("agent %d has taken the place of agent %d", r.new, r.old)) })
		},
	}
	r.at.add(c)
	r.out.add(c, replacedAgent{})
	c.Flags().DurationVar(&r.limit, "wait-timeout", 10*time.Minute, "how long each step may take")
	c.ValidArgsFunction = r.at.brokers
	return c
}

// run goes through all steps.
func (r *replacement) run(ctx context.Context) (*replacedAgent, error) {
	if err := r.known(ctx); err != nil {
		return nil, err
	}
	r.step(1, "agent %d joins", r.new)
	if err := r.until(ctx, "agent %d has not joined", func(s *admin.ClusterStatus) (bool, string) {
		there := agentOf(s, r.new)
		if there != nil && there.Drained {
			return false, fmt.Sprintf("agent %d is drained: 'varve cluster undrain %d' lets it take its share", r.new, r.new)
		}
		return there != nil, fmt.Sprintf("waiting for agent %d: start it on its host", r.new)
	}, r.new); err != nil {
		return nil, err
	}
	drained, err := r.drain(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.end(ctx); err != nil {
		return nil, err
	}
	r.step(4, "the cluster is healthy without agent %d", r.old)
	_, err = askAgent[struct{}](ctx, http.MethodPost, r.at.addr, fmt.Sprintf("/v1/agents/%d/forget", r.old))
	if unknown := (notFoundError{}); err != nil && !errors.As(err, &unknown) { // a drained agent that stopped isn't expected
		return nil, err
	}
	return &replacedAgent{Old: r.old, New: r.new, Drained: drained}, r.healthy(ctx)
}

// known refuses an old agent that the cluster neither has nor expects.
func (r *replacement) known(ctx context.Context) error {
	a, err := askHealth(ctx, r.at.addr)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(a.Agents, func(x health.AgentState) bool { return x.Broker == r.old }) {
		return notFoundError{fmt.Sprintf("agent %d is not one of this cluster, or no longer: 'varve cluster health' names those that are", r.old)}
	}
	return nil
}

// drain empties the old agent, unless it is gone.
func (r *replacement) drain(ctx context.Context) (drained bool, err error) {
	s, err := r.ask(ctx)
	if err != nil {
		return false, err
	}
	if agentOf(s, r.old) == nil {
		r.step(2, "agent %d is gone: others take over what it had", r.old)
		return false, nil
	}
	r.step(2, "agent %d is drained", r.old)
	d := drainFlags{at: r.at, limit: r.limit}
	if err := d.post(ctx, r.old, "drain"); err != nil {
		return false, err
	}
	_, err = d.await(ctx, r.old, r.said)
	return err == nil, err
}

// end has the old agent stopped, and waits until it is gone.
func (r *replacement) end(ctx context.Context) error {
	s, err := r.ask(ctx)
	if err != nil || agentOf(s, r.old) == nil {
		return err
	}
	r.step(3, "agent %d stops", r.old)
	waits := fmt.Sprintf("stop agent %d now, as by 'systemctl disable --now varve' on its host: nothing is left on it", r.old)
	if len(r.stop) > 0 {
		waits = fmt.Sprintf("waiting for agent %d to end", r.old)
		cmd := exec.CommandContext(ctx, r.stop[0], r.stop[1:]...)
		cmd.Stdout, cmd.Stderr = r.said, r.said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w; agent %d is drained and runs: stop it, and run this command again", strings.Join(r.stop, " "), err, r.old)
		}
	}
	return r.until(ctx, "agent %d has not stopped", func(s *admin.ClusterStatus) (bool, string) { return agentOf(s, r.old) == nil, waits }, r.old)
}

// healthy waits until all is well.
func (r *replacement) healthy(ctx context.Context) error {
	w := &healthWatch{addr: r.at.addr, said: r.said, show: func(a *health.Answer) error {
		if a.Level == health.Healthy {
			return nil
		}
		return new(jsonFlag).write(r.said, a, func(t *table) { printHealth(t, a) })
	}}
	return w.wait(ctx, r.limit)
}

func (r *replacement) step(n int, format string, args ...any) {
	fmt.Fprintf(r.said, "%d/4 %s\n", n, fmt.Sprintf(format, args...))
}

func (r *replacement) ask(ctx context.Context) (*admin.ClusterStatus, error) {
	return askAgent[admin.ClusterStatus](ctx, http.MethodGet, r.at.addr, "/v1/cluster")
}

// until waits until the cluster is as look wants it, and says what it waits for. late says what is not so
// when that takes too long.
func (r *replacement) until(ctx context.Context, late string, look func(*admin.ClusterStatus) (done bool, waits string), broker int32) error {
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	for said := ""; ; {
		s, err := r.ask(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			done, waits := look(s)
			if done {
				return nil
			}
			if waits != said {
				fmt.Fprintln(r.said, waits)
				said = waits
			}
		}
		if backoff.Sleep(ctx, 250*time.Millisecond) != nil {
			return latef(late+" after %v; run the command again to go on, --wait-timeout waits longer", broker, r.limit)
		}
	}
}

// agentOf returns a live agent, nil if it isn't there.
func agentOf(s *admin.ClusterStatus, broker int32) *admin.AgentStatus {
	i := slices.IndexFunc(s.Agents, func(a admin.AgentStatus) bool { return a.Broker == broker })
	if i < 0 {
		return nil
	}
	return &s.Agents[i]
}
