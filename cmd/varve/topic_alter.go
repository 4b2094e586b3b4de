package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// alteredTopic is what topic alter tells.
type alteredTopic struct {
	Topic      string   `json:"topic"`
	Partitions int      `json:"partitions,omitempty"` // if they were changed
	Set        []string `json:"set"`
	Deleted    []string `json:"deleted"`
	Changed    bool     `json:"changed"` // false: --validate-only
}

// topicChange are the flags of topic alter.
type topicChange struct {
	partitions int
	set, del   []string
	changes    []kadm.AlterConfig // set and del, read
	validate   bool
}

func topicAlterCommand() *cobra.Command {
	var f topicChange
	c := asking[*alteredTopic]{
		names: (*kafkaFlags).topicNames,
		check: f.check,
		ask:   f.alter,
		show: func(t *table, row *alteredTopic) {
			if row.Changed {
				t.row("topic " + row.Topic + " changed")
			} else {
				t.row("topic " + row.Topic + " could be changed so")
			}
		},
	}.command(&cobra.Command{
		Use:     "alter NAME",
		Aliases: []string{"alter-config", "set"},
		Short:   "Change a topic's settings or add partitions",
		Example: "  varve topic alter orders --set retention.ms=86400000\n  varve topic alter orders --delete retention.ms --partitions 24",
		Args:    cobra.ExactArgs(1),
	})
	s := c.Flags()
	s.StringArrayVarP(&f.set, "set", "s", nil, "set a setting, NAME=VALUE; may be repeated")
	s.StringArrayVarP(&f.del, "delete", "d", nil, "reset a setting to its default; may be repeated")
	s.IntVarP(&f.partitions, "partitions", "p", 0, "new number of partitions, larger than before")
	completeTopicSettings(c, "set", "=")
	completeTopicSettings(c, "delete", "")
	s.BoolVar(&f.validate, "validate-only", false, "only check whether it could be done")
	return c
}

func (f *topicChange) check([]string) (err error) {
	f.changes, err = configChanges(f.set, f.del)
	if err == nil && len(f.changes) == 0 && f.partitions == 0 {
		err = usagef("nothing to change: give --set, --delete or --partitions")
	}
	return err
}

func (f *topicChange) alter(ctx context.Context, adm *adminClient, args []string) (*alteredTopic, error) {
	topic := args[0]
	if len(f.changes) > 0 {
		alter := adm.AlterTopicConfigs
		if f.validate {
			alter = adm.ValidateAlterTopicConfigs
		}
		answers, err := alter(ctx, f.changes, topic)
		if err != nil {
			return nil, sayKafka("alter topic "+topic, err, "")
		}
		if a, err := answers.On(topic, nil); err != nil || a.Err != nil {
			return nil, sayKafka("alter topic "+topic, cmp.Or(err, a.Err), a.ErrMessage)
		}
	}
	if f.partitions != 0 {
		update := adm.UpdatePartitions
		if f.validate {
			update = adm.ValidateUpdatePartitions
		}
		answers, err := update(ctx, f.partitions, topic)
		if err != nil {
			return nil, sayKafka("add partitions to topic "+topic, err, "")
		}
		if a, err := answers.On(topic, nil); err != nil || a.Err != nil {
			return nil, sayKafka("add partitions to topic "+topic, cmp.Or(err, a.Err), a.ErrMessage)
		}
	}
	return &alteredTopic{Topic: topic, Partitions: f.partitions, Set: append([]string{}, f.set...), Deleted: append([]string{}, f.del...), Changed: !f.validate}, nil
}

func configChanges(set, del []string) ([]kadm.AlterConfig, error) {
	values, err := pairs(set, "set")
	if err != nil {
		return nil, err
	}
	var changes []kadm.AlterConfig
	for name, value := range values {
		if slices.Contains(del, name) {
			return nil, usagef("%s is both set and deleted", name)
		}
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: value})
	}
	for _, name := range del {
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: name})
	}
	return changes, nil
}
