package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"varve/internal/id"
)

// createdTopic is what topic create tells.
type createdTopic struct {
	Topic       string `json:"topic"`
	ID          string `json:"topic_id"`
	Partitions  int32  `json:"partitions"`
	Replication int16  `json:"replication_factor"`
	Created     bool   `json:"created"` // false: it was there, or --validate-only
}

func topicIDText(t [16]byte) string { return id.Topic(t).String() }

func topicCreateCommand() *cobra.Command {
	var kafka kafkaFlags
	var out jsonFlag
	var partitions int32
	var replication int16
	var config []string
	var exists, validate bool
	c := &cobra.Command{
		Use:     "create NAME...",
		Short:   "Create topics",
		Example: "  varve topic create orders --partitions 12\n  varve topic create clicks --config retention.ms=604800000 --config cleanup.policy=delete",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			settings, err := pairs(config, "config")
			if err != nil {
				return err
			}
			adm, ctx, done, err := kafka.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			create := adm.CreateTopics
			if validate {
				create = adm.ValidateCreateTopics
			}
			answers, err := create(ctx, partitions, replication, settings, names...)
			if err != nil {
				return sayKafka("create topics", err, "")
			}
			rows := []createdTopic{}
			var errs []error
			for _, a := range answers.Sorted() {
				if errors.Is(a.Err, kerr.TopicAlreadyExists) && exists {
					rows = append(rows, createdTopic{Topic: a.Topic, ID: topicID(a.ID), Partitions: -1, Replication: -1})
					continue
				}
				if a.Err != nil {
					message := a.ErrMessage
					if errors.Is(a.Err, kerr.TopicAlreadyExists) {
						message = ""
					}
					errs = append(errs, sayKafka("create topic "+a.Topic, a.Err, message))
					continue
				}
				rows = append(rows, createdTopic{a.Topic, topicID(a.ID), a.NumPartitions, a.ReplicationFactor, !validate})
			}
			if len(rows) > 0 || out.on {
				errs = append(errs, out.write(c.OutOrStdout(), rows, func(t *table) { createdTable(t, rows, validate) }))
			}
			return errors.Join(errs...)
		},
	}
	kafka.add(c.Flags())
	out.add(c, []createdTopic(nil))
	f := c.Flags()
	f.Int32VarP(&partitions, "partitions", "p", -1, "number of partitions; -1: the broker's default")
	f.Int16VarP(&replication, "replication-factor", "r", -1, "replication factor; -1: the broker's default")
	f.StringArrayVarP(&config, "config", "c", nil, "a setting of the topic, NAME=VALUE; may be repeated")
	f.BoolVar(&exists, "if-not-exists", false, "a topic that exists already is no error")
	f.BoolVar(&validate, "validate-only", false, "only check whether it could be created")
	return c
}

func createdTable(t *table, rows []createdTopic, validate bool) {
	t.row("TOPIC", "PARTITIONS", "REPLICATION", "ID", "RESULT")
	for _, r := range rows {
		result := "created"
		switch {
		case validate:
			result = "valid"
		case !r.Created:
			result = "exists"
		}
		t.row(r.Topic, number(r.Partitions), number(int32(r.Replication)), orDash(r.ID), result)
	}
}
