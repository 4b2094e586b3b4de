package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"varve/health"
	"varve/internal/backoff"
)

// healthPatience is how long an agent may take to answer: it asks all others, and gives
// each a second.
const healthPatience = 3 * time.Second

// watchEvery is how often --watch and --wait ask again.
const watchEvery = time.Second

func clusterHealthCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	var watch, wait bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "health",
		Short: "Say how well the cluster is, and what to do about it",
		Long: `Say how well the cluster is: agents that should be there and are, partitions without leader,
journals with fewer members than they should have, whether an agent may be stopped now, what
is on agents' disks only, the bucket, etcd, disks and clocks. Each line that is not as it
should be says what to do.

The exit code is 0 when all is well, 1 when everything is served and something is not as it
should be, 2 when something can't be written or read, or no agent answers. With --wait the
command returns when all is well, or after --timeout with the code of the last answer; an
agent that is stopped for good keeps it waiting until it is forgotten ('varve cluster
forget'). With --watch it goes on until it is interrupted.

What is led by an agent that doesn't answer counts as unavailable. While etcd doesn't answer the
rest is what was known last: records are written and read, offsets and topics can't be changed;
the exit code is 1.`,
		Example: "  varve cluster health\n  varve cluster health --wait --timeout 2m && systemctl restart varve\n  varve cluster health --watch --http 10.0.0.1:9644",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return usagef("--timeout is %v: must be more than 0", timeout)
			}
			w := &healthWatch{addr: at.addr, show: func(a *health.Answer) error {
				return out.write(c.OutOrStdout(), a, func(t *table) { printHealth(t, a) })
			}, said: c.ErrOrStderr()}
			return w.run(c.Context(), watch, wait, timeout)
		},
	}
	at.addAddress(c)
	out.add(c, health.Answer{})
	c.Flags().BoolVar(&watch, "watch", false, "go on asking, once a second, and show each answer that differs")
	c.Flags().BoolVar(&wait, "wait", false, "return when all is well")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "with --wait: how long")
	c.MarkFlagsMutuallyExclusive("watch", "wait")
	return c
}

// healthWatch asks for the cluster's health once, or again and again.
type healthWatch struct {
	addr string
	show func(*health.Answer) error
	said io.Writer // for people
}

func (w *healthWatch) run(ctx context.Context, watch, wait bool, timeout time.Duration) error {
	if wait {
		return w.wait(ctx, timeout)
	}
	a, err := askHealth(ctx, w.addr)
	if watch {
		return w.watch(ctx, a, err)
	}
	return w.conclude(a, err)
}

// conclude shows the last answer and turns it into an exit code.
func (w *healthWatch) conclude(a *health.Answer, err error) error {
	if err != nil {
		var usage usageError
		if errors.As(err, &usage) {
			return err
		}
		fmt.Fprintf(w.said, "varve: %v\n", err)
		return quietError{int(health.Unavailable)}
	}
	if err := w.show(a); err != nil || a.Level == health.Healthy {
		return err
	}
	return quietError{int(a.Level)}
}

func (w *healthWatch) wait(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last *health.Answer
	var why error
	for {
		a, err := askHealth(ctx, w.addr)
		if ctx.Err() == nil || last == nil && why == nil {
			last, why = a, err
		}
		var usage usageError
		if err == nil && a.Level == health.Healthy || errors.As(err, &usage) || backoff.Sleep(ctx, watchEvery) != nil {
			return w.conclude(last, why)
		}
	}
}

func (w *healthWatch) watch(ctx context.Context, a *health.Answer, err error) error {
	before := ""
	for {
		if now := summary(a, err); now != before {
			before = now
			fmt.Fprintln(w.said, time.Now().Format(time.TimeOnly))
			if e := w.conclude(a, err); e != nil && !errors.As(e, new(quietError)) {
				return e
			}
		}
		if backoff.Sleep(ctx, watchEvery) != nil {
			return nil
		}
		a, err = askHealth(ctx, w.addr)
	}
}

// summary is what has to differ for an answer to be shown again: not ages and sizes.
func summary(a *health.Answer, err error) string {
	if err != nil {
		return err.Error()
	}
	text := a.Level.String()
	for _, c := range a.Checks {
		text += "\n" + c.Name + c.Level.String()
		if c.Level != health.Healthy && c.Name != "data at risk" {
			text += c.Text
		}
	}
	return text
}

func askHealth(ctx context.Context, addr string) (*health.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	return askAgent[health.Answer](ctx, http.MethodGet, addr, "/v1/health")
}

func printHealth(t *table, a *health.Answer) {
	t.row(fmt.Sprintf("cluster %s is %s", a.Cluster, a.Headline()))
	t.gap()
	for _, c := range a.Checks {
		mark := "ok"
		if c.Level != health.Healthy {
			mark = c.Level.String()
		}
		t.row(mark, c.Name, c.Text)
		if c.Do != "" && c.Level != health.Healthy {
			t.row("", "", "-> "+c.Do)
		}
	}
}
