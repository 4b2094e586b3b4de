package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// trimmedPartition is what topic trim does to one partition.
type trimmedPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Start     int64  `json:"start_offset"` // before
	To        int64  `json:"to"`           // the first offset that is kept
	outcome
}

// trimFlags are the flags of topic trim.
type trimFlags struct {
	before  string
	at      position
	execute bool
}

func topicTrimCommand() *cobra.Command {
	var f trimFlags
	c := asking[[]trimmedPartition]{
		names: (*kafkaFlags).topicNames,
		check: func([]string) (err error) {
			if f.before == "" {
				return usagef("--before is missing: it says which records are deleted: those before %s", positionHelp)
			}
			f.at, err = parsePosition(f.before, time.Now())
			return err
		},
		ask:  f.trim,
		show: f.print,
	}.command(&cobra.Command{
		Use:     "trim TOPIC[:PARTITIONS]",
		Aliases: []string{"trim-prefix", "delete-records"},
		Short:   "Delete the oldest records of a topic",
		Long: `Delete all records of a topic, or of some of its partitions, before a position. It shows what
it would do; --execute does it. What is deleted can't be brought back.

--before is ` + positionHelp + `.`,
		Example: "  varve topic trim orders --before '7d ago'\n  varve topic trim orders:0,3 --before 1000 --execute\n  varve topic trim orders --before end --execute",
		Args:    cobra.ExactArgs(1),
	})
	c.Flags().StringVarP(&f.before, "before", "o", "", "delete the records before this position")
	c.Flags().BoolVar(&f.execute, "execute", false, "do it; otherwise it is only shown")
	return c
}

func (f *trimFlags) trim(ctx context.Context, adm *adminClient, args []string) ([]trimmedPartition, error) {
	topic, partitions, err := topicPartitions(args[0])
	if err != nil {
		return nil, usagef("%q: want TOPIC or TOPIC:PARTITIONS, like orders:0,3-5", args[0])
	}
	b, err := listBounds(ctx, adm, false, topic)
	if err != nil {
		return nil, err
	}
	to, err := f.at.resolve(ctx, adm, b, topic)
	if err != nil {
		return nil, err
	}
	p := &readPlan{begin: to, end: b.end.Offsets()}
	if err := p.only(partitions); err != nil {
		return nil, err
	}
	if f.at.kind == atOffset {
		p.compare(f.at.n, b)
		if p.all {
			return nil, p.beyond(nil, false)
		}
	}
	rows := []trimmedPartition{}
	for _, o := range p.begin.Sorted() {
		start, _ := b.start.Lookup(o.Topic, o.Partition)
		rows = append(rows, trimmedPartition{Topic: o.Topic, Partition: o.Partition, Start: start.Offset, To: o.At})
	}
	if !f.execute {
		return rows, nil
	}
	answers, err := adm.DeleteRecords(ctx, p.begin)
	if err != nil {
		return nil, sayKafka("trim topic "+topic, err, "")
	}
	var errs []error
	for i := range rows {
		r := &rows[i]
		if a, ok := answers.Lookup(r.Topic, r.Partition); ok {
			errs = append(errs, r.settle(a.Err, fmt.Sprintf("trim partition %d of %s", r.Partition, r.Topic)))
		}
	}
	return rows, errors.Join(errs...)
}

func (f *trimFlags) print(t *table, rows []trimmedPartition) {
	t.row("TOPIC", "PARTITION", "START", "NEW START", "RECORDS", "RESULT")
	for _, r := range rows {
		t.row(r.Topic, r.Partition, r.Start, r.To, strconv.FormatInt(r.To-r.Start, 10), r.result("would be deleted", "deleted"))
	}
	if !f.execute {
		t.gap()
		t.row("Nothing was deleted; --execute does it.")
	}
}
