package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"varve/agent"
)

func clusterAcceptLossCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	var yes bool
	c := &cobra.Command{
		Use:   "accept-loss JOURNAL",
		Short: "Give up records of which too few copies are left",
		Long: `Give up what no live agent has of a dead agent's journal, so that its partitions are
served again. Records that were acknowledged, that were not in the bucket yet, and that no
live agent has, are lost for ever. Their offsets stay unused if later records are left;
consumers pass over them. Bring the missing agents back with their disks instead if you can:
then nothing is lost, and nothing needs to be accepted.

'varve cluster status' names the journals that wait. The command says what it may cost and
asks, unless --yes is given. The exit code is 1 when there is nothing to give up.`,
		Example: "  varve cluster accept-loss 12-1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := "/v1/journals/" + url.PathEscape(args[0])
			cost, err := askAgent[agent.LossCost](c.Context(), http.MethodGet, at.addr, path+"/loss")
			if err != nil {
				return err
			}
			sayCost(c.ErrOrStderr(), cost)
			if !yes {
				if err := confirm(c.InOrStdin(), c.ErrOrStderr(), cost.Journal); err != nil {
					return err
				}
			}
			loss, err := acceptLoss(c.Context(), at.addr, path)
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), loss, func(t *table) { t.row(saidLoss(loss)) })
		},
	}
	at.add(c)
	out.add(c, agent.Loss{})
	c.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return c
}

func acceptLoss(ctx context.Context, addr, path string) (*agent.Loss, error) {
	return askAgent[agent.Loss](ctx, http.MethodPost, addr, path+"/accept-loss")
}

// sayCost tells what may be lost.
func sayCost(w io.Writer, c *agent.LossCost) {
	fmt.Fprintf(w, "Journal %s of agent %d is %s. Its members:\n", c.Journal, c.Broker, c.State)
	for _, m := range c.Members {
		state := "gone"
		if m.Live {
			state = "alive"
		}
		fmt.Fprintf(w, "  store %s of agent %s: %s\n", m.Store, number(m.Broker), state)
	}
	fmt.Fprintf(w, "The newest records of %d partitions may lie in it", c.Partitions)
	if len(c.Topics) > 0 {
		fmt.Fprintf(w, " (topics %s)", strings.Join(c.Topics, ", "))
	}
	fmt.Fprintln(w, ".\nWhat is not in the bucket, and on no live agent, will be lost for ever, although it was acknowledged.")
}

// confirm asks for the journal's name.
func confirm(in io.Reader, w io.Writer, journal string) error {
	fmt.Fprintf(w, "Type the journal's name to go on: ")
	line, err := bufio.NewReader(io.LimitReader(in, 256)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != journal {
		return errors.New("not confirmed: nothing was changed")
	}
	return nil
}

func saidLoss(l *agent.Loss) string {
	switch {
	case l.Whole:
		return fmt.Sprintf("journal %s: nothing was lost, all %d entries are there", l.Journal, l.Kept)
	case l.Gone:
		return fmt.Sprintf("journal %s: nothing of it was left", l.Journal)
	}
	return fmt.Sprintf("journal %s: %d entries are kept, what came after them is lost", l.Journal, l.Kept)
}
