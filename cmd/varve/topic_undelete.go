package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// undeletedTopic is what topic undelete tells.
type undeletedTopic struct {
	Topic     string `json:"topic"`
	Undeleted bool   `json:"undeleted"`
}

func topicUndeleteCommand() *cobra.Command {
	var addr string
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
				err := undelete(c.Context(), addr, name)
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
	c.Flags().StringVar(&addr, "http", "127.0.0.1:9644", "host:port of an agent's HTTP")
	out.add(c, []undeletedTopic(nil))
	return c
}

func undelete(ctx context.Context, addr, topic string) error {
	base := addr
	if !strings.Contains(addr, "://") {
		base = "http://" + addr
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+"/v1/topics/"+url.PathEscape(topic)+"/undelete", nil)
	if err != nil {
		return usagef("--http %q: %w", addr, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return &awayError{addr, err}
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch {
	case err != nil:
		return fmt.Errorf("undelete topic %s: %w", topic, err)
	case resp.StatusCode == http.StatusNotFound:
		return notFoundError{strings.TrimSpace(string(said))}
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("undelete topic %s: %s", topic, strings.TrimSpace(string(said)))
	}
	return nil
}
