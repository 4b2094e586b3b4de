package main

import (
	"context"
	"errors"
	"fmt"

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

// topicCreation are the flags of topic create.
type topicCreation struct {
	partitions       int32
	replication      int16
	config           []string
	settings         map[string]*string // config, read
	exists, validate bool
}

func topicCreateCommand() *cobra.Command {
	var f topicCreation
	c := asking[[]createdTopic]{
		check: func([]string) (err error) { f.settings, err = pairs(f.config, "config"); return err },
		ask:   f.create,
		show:  f.print,
	}.command(&cobra.Command{
		Use:     "create NAME...",
		Aliases: []string{"add", "new"},
		Short:   "Create topics",
		Example: "  varve topic create orders --partitions 12\n  varve topic create clicks --config retention.ms=604800000 --config cleanup.policy=delete",
		Args:    cobra.MinimumNArgs(1),
	})
	s := c.Flags()
	s.Int32VarP(&f.partitions, "partitions", "p", -1, "number of partitions; -1: kafka.default_partitions")
	s.Int16VarP(&f.replication, "replication-factor", "r", -1, "accepted for Kafka's tools; the cluster's own factor is that of replication.factor")
	s.StringArrayVarP(&f.config, "config", "c", nil, "a setting of the topic, NAME=VALUE; may be repeated")
	completeTopicSettings(c, "config", "=")
	s.BoolVar(&f.exists, "if-not-exists", false, "a topic that exists already is no error")
	s.BoolVar(&f.validate, "validate-only", false, "only check whether it could be created")
	return c
}

func (f *topicCreation) create(ctx context.Context, adm *adminClient, names []string) ([]createdTopic, error) {
	create := adm.CreateTopics
	if f.validate {
		create = adm.ValidateCreateTopics
	}
	answers, err := create(ctx, f.partitions, f.replication, f.settings, names...)
	if err != nil {
		return nil, sayKafka("create topics", err, "")
	}
	rows := []createdTopic{}
	var errs []error
	for _, a := range asNamed(names, answers) {
		there := errors.Is(a.Err, kerr.TopicAlreadyExists)
		switch {
		case there && f.exists:
			rows = append(rows, createdTopic{Topic: a.Topic, ID: topicID(a.ID), Partitions: -1, Replication: -1})
		case there:
			errs = append(errs, sayKafka("create topic "+a.Topic, a.Err, ""))
		case a.Err != nil:
			errs = append(errs, sayKafka("create topic "+a.Topic, a.Err, a.ErrMessage))
		default:
			rows = append(rows, createdTopic{a.Topic, topicID(a.ID), a.NumPartitions, a.ReplicationFactor, !f.validate})
		}
	}
	return rows, errors.Join(errs...)
}

func (f *topicCreation) print(t *table, rows []createdTopic) {
	if len(rows) == 0 {
		return
	}
	t.row("TOPIC", "PARTITIONS", "REPLICATION", "ID", "RESULT")
	for _, r := range rows {
		result := "created"
		switch {
		case f.validate:
			result = "valid"
		case !r.Created:
			result = "exists"
		}
		if f.replication > 0 && r.Replication > 0 && r.Replication != f.replication {
			result += fmt.Sprintf(" (its replication factor is the cluster's, %d)", r.Replication)
		}
		t.row(r.Topic, number(r.Partitions), number(int32(r.Replication)), orDash(r.ID), result)
	}
}
