package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func groupSeekCommand() *cobra.Command {
	f := resetFlags{execute: true}
	var to string
	var dry bool
	var move position
	c := &cobra.Command{
		Use:   "seek NAME",
		Short: "Set a group's offsets to a position",
		Long: `Set a group's committed offsets, at once; --dry-run only shows what it would do. The group must
have no members. Without --topic it is all topics in which the group has offsets.

--to is ` + positionHelp + `.

'varve group reset' does the same more carefully: it needs --execute, and can shift offsets.`,
		Example: "  varve group seek readers --to start\n  varve group seek readers --to '2h ago' --topic orders\n  varve group seek readers --to 1000 --topic orders:0 --dry-run",
		Args:    cobra.ExactArgs(1),
	}
	asking[[]resetRow]{
		names: (*kafkaFlags).groupNames,
		check: func([]string) (err error) {
			if to == "" {
				return usagef("--to is missing: want %s", positionHelp)
			}
			f.execute, f.all = !dry, f.all || len(f.topics) == 0
			if f.all && len(f.topics) > 0 {
				return usagef("give either --topic or --all-topics")
			}
			move, err = parsePosition(to, time.Now())
			return err
		},
		ask: func(ctx context.Context, adm *adminClient, args []string) ([]resetRow, error) {
			return f.reset(ctx, adm, args[0], &move)
		},
		show: f.print,
	}.command(c)
	s := c.Flags()
	s.StringVarP(&to, "to", "o", "", "where to")
	s.StringArrayVarP(&f.topics, "topic", "t", nil, "a topic, or some of its partitions, like orders:0,3-5; may be repeated")
	s.BoolVar(&f.all, "all-topics", false, "all topics in which the group has offsets, as without --topic")
	s.BoolVar(&dry, "dry-run", false, "only show what it would do")
	completeValues(c, "to", "start", "end")
	return c
}
