package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/bench"
)

// consumeFlags are the flags of consume.
type consumeFlags struct {
	kafka       kafkaFlags
	out         jsonFlag
	from        string
	group       string
	partitions  string
	follow      bool
	count       int64
	format      string
	uncommitted bool
}

func consumeCommand() *cobra.Command {
	var f consumeFlags
	c := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Read records and print them",
		Long: `Read topics and print their records. Without --follow it stops at what was the end when it
began.

--from is ` + positionHelp + `.
With --group the committed offsets count, --from is only for partitions without one, and what
was printed is committed.

--format: ` + formatHelp + `.`,
		Example: `  varve consume orders
  varve consume orders --from -10 --format '%p %o %k: %v\n'
  varve consume orders --from '1h ago' --follow
  varve consume orders --group readers -n 100 --json`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: f.kafka.topicNames,
		RunE: func(c *cobra.Command, topics []string) error {
			return f.run(c.Context(), topics, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.kafka.add(c.Flags())
	f.out.add(c, recordJSON{})
	c.Flags().Lookup("json").Usage = "write each record as a line of JSON"
	s := c.Flags()
	s.StringVarP(&f.from, "from", "o", "beginning", "where to begin")
	s.StringVarP(&f.group, "group", "g", "", "consume as a member of this group")
	s.StringVarP(&f.partitions, "partitions", "p", "", "only these, like 0,2,5-7; not with --group")
	s.BoolVarP(&f.follow, "follow", "f", false, "go on with new records")
	s.Int64VarP(&f.count, "count", "n", 0, "stop after so many records; 0: no bound")
	s.StringVar(&f.format, "format", `%v\n`, "how a record is printed")
	s.BoolVar(&f.uncommitted, "read-uncommitted", false, "records of transactions that are open or aborted, too")
	return c
}

func (f *consumeFlags) run(ctx context.Context, topics []string, out, stderr io.Writer) error {
	format, err := parseFormat(f.format)
	if err != nil {
		return err
	}
	from, err := parsePosition(f.from, time.Now())
	if err != nil {
		return err
	}
	partitions, err := partitionList(f.partitions)
	if err != nil {
		return err
	}
	if len(partitions) > 0 && f.group != "" {
		return usagef("--partitions and --group exclude each other: a group deals partitions itself")
	}
	if f.count < 0 {
		return usagef("--count is %d: must be 0 or more", f.count)
	}
	plan, err := f.plan(ctx, topics, from, partitions)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(out, 256<<10)
	r := &consuming{flags: f, plan: plan, out: buffered, write: formattedRecords(buffered, format)}
	if f.out.on {
		r.write = jsonRecords(buffered)
	}
	shown := &progress{}
	if !isTerminal(out) { // both would share the screen
		shown = startProgress(stderr, progress{meter: &r.meter})
		defer shown.Close()
	}
	return errors.Join(r.run(ctx, topics, from), buffered.Flush())
}

// plan looks up where to begin and end.
func (f *consumeFlags) plan(ctx context.Context, topics []string, from position, partitions []int32) (*readPlan, error) {
	adm, ctx, done, err := f.kafka.admin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	found, err := adm.ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return nil, sayKafka("look up topics", err, "")
	}
	for _, t := range topics {
		if err := found[t].Err; err != nil {
			return nil, sayKafka("topic "+t, err, "")
		}
	}
	b, err := listBounds(ctx, adm, !f.uncommitted, topics...)
	if err != nil {
		return nil, err
	}
	begin, err := from.resolve(ctx, adm, b, topics...)
	if err != nil {
		return nil, err
	}
	p := &readPlan{begin: begin, end: b.end.Offsets()}
	if f.group != "" {
		committed, err := adm.FetchOffsetsForTopics(ctx, f.group, topics...)
		if err == nil {
			err = committed.Error()
		}
		if err != nil {
			return nil, sayKafka("look up the offsets of group "+f.group, err, "")
		}
		committed.Each(func(o kadm.OffsetResponse) {
			if o.At >= 0 {
				p.begin.AddOffset(o.Topic, o.Partition, o.At, -1)
			}
		})
	}
	return p, p.only(partitions)
}

// readPlan is where reading begins and ends in every partition.
type readPlan struct{ begin, end kadm.Offsets }

func (p *readPlan) only(partitions []int32) error {
	if len(partitions) == 0 {
		return nil
	}
	wanted := map[int32]bool{}
	for _, n := range partitions {
		wanted[n] = true
	}
	for _, n := range partitions {
		for t, has := range p.end {
			if _, ok := has[n]; !ok {
				return notFoundError{fmt.Sprintf("topic %s has no partition %d", t, n)}
			}
		}
	}
	keep := func(o kadm.Offset) bool { return wanted[o.Partition] }
	p.begin.KeepFunc(keep)
	p.end.KeepFunc(keep)
	return nil
}

// consuming is one run of consume.
type consuming struct {
	flags *consumeFlags
	plan  *readPlan
	out   *bufio.Writer
	write func(*kgo.Record) error
	meter bench.Meter
	owns  assigned // by the group
}

func (r *consuming) options(topics []string, from position) []kgo.Opt {
	o := []kgo.Opt{kgo.KeepControlRecords(), kgo.FetchMaxWait(500 * time.Millisecond), kgo.KeepRetryableFetchErrors()}
	if !r.flags.uncommitted {
		o = append(o, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if r.flags.group == "" {
		return append(o, kgo.ConsumePartitions(r.plan.begin.KOffsets()))
	}
	reset := kgo.NewOffset().AtStart()
	switch from.kind {
	case atEnd:
		reset = kgo.NewOffset().AtEnd()
	case atTime:
		reset = kgo.NewOffset().AfterMilli(from.n)
	case atOffset:
		reset = kgo.NewOffset().At(from.n)
	case atLast:
		reset = kgo.NewOffset().AtEnd().Relative(-from.n)
	}
	return append(o, kgo.ConsumerGroup(r.flags.group), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(reset), kgo.AutoCommitMarks(),
		kgo.OnPartitionsAssigned(r.owns.add), kgo.OnPartitionsRevoked(r.owns.remove), kgo.OnPartitionsLost(r.owns.remove))
}
