package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// deletedTopic is what topic delete tells.
type deletedTopic struct {
	Topic   string `json:"topic"`
	Deleted bool   `json:"deleted"`
}

func topicDeleteCommand() *cobra.Command {
	return asking[[]deletedTopic]{
		names: (*kafkaFlags).topicNames,
		ask: func(ctx context.Context, adm *adminClient, names []string) ([]deletedTopic, error) {
			answers, err := adm.DeleteTopics(ctx, names...)
			if err != nil {
				return nil, sayKafka("delete topics", err, "")
			}
			rows := []deletedTopic{}
			var errs []error
			for _, a := range asNamed(names, answers) {
				errs = append(errs, sayKafka("delete topic "+a.Topic, a.Err, ""))
				rows = append(rows, deletedTopic{a.Topic, a.Err == nil})
			}
			return rows, errors.Join(errs...)
		},
		show: func(t *table, rows []deletedTopic) {
			for _, r := range rows {
				if r.Deleted {
					t.row("topic " + r.Topic + " deleted")
				}
			}
		},
	}.command(&cobra.Command{
		Use:     "delete NAME...",
		Aliases: []string{"rm"},
		Short:   "Delete topics with all their records",
		Example: "  varve topic delete orders",
		Args:    cobra.MinimumNArgs(1),
	})
}
