package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// deletedTopic is what topic delete tells.
type deletedTopic struct {
	Topic   string `json:"topic"`
	Deleted bool   `json:"deleted"`
}

func topicDeleteCommand() *cobra.Command {
	var kafka kafkaFlags
	var out jsonFlag
	c := &cobra.Command{
		Use:               "delete NAME...",
		Aliases:           []string{"rm"},
		Short:             "Delete topics with all their records",
		Example:           "  varve topic delete orders",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: kafka.topicNames,
		RunE: func(c *cobra.Command, names []string) error {
			adm, ctx, done, err := kafka.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			answers, err := adm.DeleteTopics(ctx, names...)
			if err != nil {
				return sayKafka("delete topics", err, "")
			}
			rows := []deletedTopic{}
			var errs []error
			for _, a := range answers.Sorted() {
				errs = append(errs, sayKafka("delete topic "+a.Topic, a.Err, ""))
				rows = append(rows, deletedTopic{a.Topic, a.Err == nil})
			}
			errs = append(errs, out.write(c.OutOrStdout(), rows, func(t *table) {
				for _, r := range rows {
					if r.Deleted {
						t.row("topic " + r.Topic + " deleted")
					}
				}
			}))
			return errors.Join(errs...)
		},
	}
	kafka.add(c.Flags())
	out.add(c, []deletedTopic(nil))
	return c
}
