package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// undeletedTopic is what topic undelete tells.
type undeletedTopic struct {
	Topic     string `json:"topic"`
	Undeleted bool   `json:"undeleted"`
}

func topicUndeleteCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	c := &cobra.Command{
		Use:   "undelete NAME...",
		Short: "Bring deleted topics back with all their records",
		Long: `Bring back topics that were deleted no longer ago than garbage.undelete_window says, with
their records, settings and ids. What groups had committed for them is gone. It asks an
agent over HTTP.`,
		Example: "  varve topic undelete orders",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			var errs []error
			rows := []undeletedTopic{}
			for _, name := range names {
				err := undelete(c.Context(), at.addr, name)
				errs = append(errs, err)
				rows = append(rows, undeletedTopic{name, err == nil})
			}
			errs = append(errs, out.write(c.OutOrStdout(), rows, func(t *table) {
				for _, r := range rows {
					if r.Undeleted {
						t.row("topic " + r.Topic + " is back")
					}
				}
			}))
			return errors.Join(errs...)
		},
	}
	at.add(c)
	out.add(c, []undeletedTopic(nil))
	return c
}

func undelete(ctx context.Context, addr, topic string) error {
	_, err := askAgent[struct{}](ctx, http.MethodPost, addr, "/v1/topics/"+url.PathEscape(topic)+"/undelete")
	if err != nil {
		return fmt.Errorf("undelete topic %s: %w", topic, err)
	}
	return nil
}
