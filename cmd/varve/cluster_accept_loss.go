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
	"time"

	"github.com/spf13/cobra"

	"varve/admin"
	"varve/internal/say"
)

func clusterAcceptLossCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	var yes bool
	c := &cobra.Command{
		Use:   "accept-loss JOURNAL",
		Short: "Accept the loss of records whose copies are gone",
		Long: `Accept the loss of records whose copies are gone: of a dead agent's journal what no live
agent has is given up, so that its partitions are served again. Records that were acknowledged, that were not in the bucket yet, and that no
live agent has, are lost for ever. Their offsets stay unused if later records are left;
consumers pass over them. Bring the missing agents back with their disks instead if you can:
then nothing is lost, and nothing needs to be accepted.

'varve cluster status' names the journals that wait. The command says what it may cost and
asks, unless --yes is given. The exit code is 1 when there is nothing to give up.`,
		Example: "  varve cluster accept-loss 12-1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := "/v1/journals/" + url.PathEscape(args[0])
			cost, err := askAgent[admin.LossCost](c.Context(), http.MethodGet, at.addr, path+"/loss")
			if err != nil {
				return err
			}
			sayCost(c.ErrOrStderr(), cost)
			if !yes {
				if err := confirmName(c.InOrStdin(), c.ErrOrStderr(), "journal", cost.Journal); err != nil {
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
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return at.complete(waiting)
	}
	out.add(c, admin.Loss{})
	c.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return c
}

// waiting names the journals that aren't recovered yet.
func waiting(s *admin.ClusterStatus) (names []string) {
	for _, j := range s.Journals {
		if j.Waits {
			names = append(names, j.Journal)
		}
	}
	return names
}

func acceptLoss(ctx context.Context, addr, path string) (*admin.Loss, error) {
	return askAgent[admin.Loss](ctx, http.MethodPost, addr, path+"/accept-loss")
}

// sayCost tells what may be lost.
func sayCost(w io.Writer, c *admin.LossCost) {
	fmt.Fprintf(w, "Journal %s of agent %d is %s. Its members:\n", c.Journal, c.Broker, c.State)
	for _, m := range c.Members {
		fmt.Fprintf(w, "  %s\n", memberLine(&m))
	}
	fmt.Fprintf(w, "The newest records of %s may lie in it", say.Count(c.Partitions, "partition"))
	if len(c.Topics) > 0 {
		fmt.Fprintf(w, " (%s)", topicsLine(c))
	}
	fmt.Fprintln(w, ".\n"+leftLine(c))
	fmt.Fprintln(w, "What is not in the bucket, and on no live agent, will be lost for ever, although it was acknowledged.")
}

// topicsShown bounds the names on a line.
const topicsShown = 10

// topicsLine names the first topics.
func topicsLine(c *admin.LossCost) string {
	shown := c.Topics[:min(len(c.Topics), topicsShown)]
	text := "topics " + strings.Join(shown, ", ")
	if more := max(c.TopicsTotal, len(c.Topics)) - len(shown); more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// memberLine describes a member: where it was, and what it has.
func memberLine(m *admin.MemberStatus) string {
	text := "a store of an agent that is not known (" + m.Store + ")"
	if m.Broker >= 0 {
		text = fmt.Sprintf("agent %d%s", m.Broker, inParentheses(m.Host))
	}
	switch {
	case m.Live && m.Entries >= 0:
		return fmt.Sprintf("%s: alive, has entries up to %d", text, m.Entries)
	case m.Live:
		return text + ": alive, and does not say what it has"
	case m.Gone:
		return text + ": its disk is gone, it has another now"
	}
	return text + ": not alive; if its disk is still there, start it: then nothing is lost"
}

// leftLine reports what stays, and what may be lost, as far as anybody knows.
func leftLine(c *admin.LossCost) string {
	when := func(ms int64) string {
		at := time.UnixMilli(ms)
		return fmt.Sprintf("%s (%v ago)", at.Format(time.DateTime), time.Since(at).Round(time.Second))
	}
	var text string
	switch {
	case c.NewestKeptMs >= 0:
		text = fmt.Sprintf("Live agents have %s of it (%s) that are not in the bucket yet, the newest of %s: these stay. What may be lost was written after that",
			say.Count(int(c.KeptRecords), "record"), say.Bytes(c.KeptBytes), when(c.NewestKeptMs))
	case c.TieredMs >= 0:
		text = fmt.Sprintf("Live agents have nothing of it that is not in the bucket. The newest record of these partitions in the bucket is of %s: what may be lost was written after that", when(c.TieredMs))
	default:
		text = "Live agents have nothing of it, and the bucket nothing of these partitions: all of them may be lost"
	}
	if c.LostEntries >= 0 {
		return text + fmt.Sprintf(": %s in all.", say.Count(c.LostEntries, "entry", "entries"))
	}
	return text + "; how much that was, only the members that are gone know. It may be nothing."
}

// confirmName asks for the name of what is at stake.
func confirmName(in io.Reader, w io.Writer, what, name string) error {
	fmt.Fprintf(w, "Type the %s's name to go on: ", what)
	line, err := bufio.NewReader(io.LimitReader(in, 256)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != name {
		return errors.New("not confirmed: nothing was changed")
	}
	return nil
}

func saidLoss(l *admin.Loss) string {
	switch {
	case l.Whole:
		return fmt.Sprintf("journal %s: nothing was lost, all of it (%s) is there", l.Journal, say.Count(int64(l.Kept), "entry", "entries"))
	case l.Gone && l.Lost >= 0:
		return fmt.Sprintf("journal %s: nothing of it was left, %s lost", l.Journal, say.Count(l.Lost, "entry is", "entries are"))
	case l.Gone:
		return fmt.Sprintf("journal %s: nothing of it was left", l.Journal)
	case l.Lost >= 0:
		return fmt.Sprintf("journal %s: %d entries are kept, %s lost", l.Journal, l.Kept, say.Count(l.Lost, "entry is", "entries are"))
	}
	return fmt.Sprintf("journal %s: %d entries are kept. Whether there were more is not known; if so, they are lost. Offsets that are passed over are in the logs ('records are lost') and in varve_partition_lost_records_total", l.Journal, l.Kept)
}
