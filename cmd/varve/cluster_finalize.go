package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"varve/admin"
)

func clusterFinalizeCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	var level uint8
	var dry bool
	c := &cobra.Command{
		Use:   "finalize",
		Short: "Let the cluster use what the new version brings, after an upgrade",
		Long: `Raise the cluster's level to the newest that the agent knows, or to --level. Until then the
agents of two releases form one cluster, and each agent can go back to the release before:
nothing is written that it can't read. From then on agents of releases that don't know the
level are refused. There is no way back.

It is refused while an agent runs a release that doesn't know the level, or is away. An agent
that won't come back is to be forgotten before ('varve cluster forget'). 'kafka-features
upgrade --feature varve.version=LEVEL' does the same.`,
		Example: "  varve cluster finalize --dry-run\n  varve cluster finalize",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			query := url.Values{}
			if level > 0 {
				query.Set("level", strconv.Itoa(int(level)))
			}
			if dry {
				query.Set("dry_run", "true")
			}
			path := "/v1/cluster/finalize"
			if len(query) > 0 {
				path += "?" + query.Encode()
			}
			f, err := askAgent[admin.Finalized](c.Context(), http.MethodPost, at.addr, path)
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), f, func(t *table) { t.row(finalized(f)) })
		},
	}
	at.add(c)
	out.add(c, admin.Finalized{})
	c.Flags().Uint8Var(&level, "level", 0, "the level; 0: the newest that the agent knows")
	c.Flags().BoolVar(&dry, "dry-run", false, "only tell whether it can be done")
	return c
}

func finalized(f *admin.Finalized) string {
	switch {
	case f.Before == f.Level:
		return fmt.Sprintf("the cluster is at level %d already", f.Level)
	case f.DryRun:
		return fmt.Sprintf("the cluster can be finalized at level %d; it is at %d", f.Level, f.Before)
	}
	return fmt.Sprintf("the cluster was finalized at level %d; it was at %d", f.Level, f.Before)
}
