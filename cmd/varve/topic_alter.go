package main

import (
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

func topicAlterCommand() *cobra.Command {
	var kafka kafkaFlags
	var out jsonFlag
	var partitions int
	var set, del []string
	var validate bool
	c := &cobra.Command{
		Use:               "alter NAME",
		Short:             "Change a topic's settings or add partitions",
		Example:           "  varve topic alter orders --set retention.ms=86400000\n  varve topic alter orders --delete retention.ms --partitions 24",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: kafka.topicNames,
		RunE: func(c *cobra.Command, args []string) error {
			changes, err := configChanges(set, del)
			if err != nil {
				return err
			}
			if len(changes) == 0 && partitions == 0 {
				return usagef("nothing to change: give --set, --delete or --partitions")
			}
			adm, ctx, done, err := kafka.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			row := alteredTopic{Topic: args[0], Partitions: partitions, Set: append([]string{}, set...), Deleted: append([]string{}, del...), Changed: !validate}
			if len(changes) > 0 {
				alter := adm.AlterTopicConfigs
				if validate {
					alter = adm.ValidateAlterTopicConfigs
				}
				answers, err := alter(ctx, changes, row.Topic)
				if err != nil {
					return sayKafka("alter topic "+row.Topic, err, "")
				}
				if a, err := answers.On(row.Topic, nil); err != nil || a.Err != nil {
					return sayKafka("alter topic "+row.Topic, first(err, a.Err), a.ErrMessage)
				}
			}
			if partitions != 0 {
				update := adm.UpdatePartitions
				if validate {
					update = adm.ValidateUpdatePartitions
				}
				answers, err := update(ctx, partitions, row.Topic)
				if err != nil {
					return sayKafka("add partitions to topic "+row.Topic, err, "")
				}
				if a, err := answers.On(row.Topic, nil); err != nil || a.Err != nil {
					return sayKafka("add partitions to topic "+row.Topic, first(err, a.Err), a.ErrMessage)
				}
			}
			return out.write(c.OutOrStdout(), row, func(t *table) {
				if validate {
					t.row("topic " + row.Topic + " could be changed so")
					return
				}
				t.row("topic " + row.Topic + " changed")
			})
		},
	}
	kafka.add(c.Flags())
	out.add(c, alteredTopic{})
	f := c.Flags()
	f.StringArrayVarP(&set, "set", "s", nil, "set a setting, NAME=VALUE; may be repeated")
	f.StringArrayVarP(&del, "delete", "d", nil, "give a setting its default back; may be repeated")
	f.IntVarP(&partitions, "partitions", "p", 0, "new number of partitions, larger than before")
	f.BoolVar(&validate, "validate-only", false, "only check whether it could be done")
	return c
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

// first gives the first that is an error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
