package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/bench"
)

// consumeFlags are the flags of consume.
type consumeFlags struct {
	kafka       kafkaFlags
	out         jsonFlag
	from        []string
	group       string
	partitions  string
	regex       bool
	follow      bool
	untilEnd    bool
	count       int64
	format      string
	keyAs       string
	valueAs     string
	uncommitted bool
}

func consumeCommand() *cobra.Command {
	var f consumeFlags
	c := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Read records and print them",
		Long: `Read topics and print their records. Without --follow it stops at what was the end when it
began.

--from is ` + rangeHelp + `.
With --group reading begins at the committed offsets, --from is only for partitions without
one, and what was printed is committed.

--format: ` + formatHelp + `.`,
		Example: `  varve consume orders
  varve consume orders --from -10 --format '%p %o %k: %v\n'
  varve consume orders --from '1h ago' --follow
  varve consume orders --from '2026-01-31 09:00:2026-01-31 10:00'
  varve consume --regex '^orders-' --from :end -f json
  varve consume orders --group readers -n 100 --json`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: f.kafka.topicNames,
		RunE: func(c *cobra.Command, topics []string) error {
			if f.out.on && c.Flags().Changed("format") && f.format != "json" {
				return usagef("--json and --format exclude each other")
			}
			return f.run(c.Context(), topics, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.kafka.add(c.Flags())
	c.Flags().Lookup("timeout").Usage = "how long to wait for an answer, and for records before the end"
	f.out.add(c, recordJSON{})
	c.Flags().Lookup("json").Usage = "write each record as a line of JSON"
	s := c.Flags()
	s.StringArrayVarP(&f.from, "from", "o", []string{"start"}, "where to begin, or a range")
	s.StringVarP(&f.group, "group", "g", "", "consume as a member of this group")
	s.StringVarP(&f.partitions, "partitions", "p", "", "only these, like 0,2,5-7; not with --group")
	s.BoolVarP(&f.regex, "regex", "r", false, "the topics are regular expressions, for those that exist now")
	s.BoolVar(&f.follow, "follow", false, "go on with new records")
	s.BoolVarP(&f.untilEnd, "until-end", "e", false, "stop at what was the end when it began, as it does without --follow")
	s.Int64VarP(&f.count, "count", "n", 0, "stop after N records; 0: no bound")
	s.StringVarP(&f.format, "format", "f", `%v\n`, "how a record is printed, or json")
	s.StringVar(&f.keyAs, "key-encoding", "text", "how keys are printed: "+encodingsHelp)
	s.StringVar(&f.valueAs, "value-encoding", "text", "how values are printed: "+encodingsHelp)
	s.BoolVar(&f.uncommitted, "read-uncommitted", false, "records of transactions that are open or aborted, too")
	completeValues(c, "from", "start", "end")
	completeValues(c, "key-encoding", encodingNames...)
	completeValues(c, "value-encoding", encodingNames...)
	completeNames(c, "group", f.kafka.groupNames)
	topicsFlag(c, f.kafka.topicNames)
	return c
}

// check refuses flags that don't go together, and reads --from.
func (f *consumeFlags) check(now time.Time) (from span, partitions []int32, err error) {
	if from, err = f.span(now); err != nil {
		return from, nil, err
	}
	if partitions, err = partitionList(f.partitions); err != nil {
		return from, nil, err
	}
	switch {
	case len(partitions) > 0 && f.group != "":
		err = usagef("--partitions and --group exclude each other: a group deals partitions itself")
	case f.count < 0:
		err = usagef("--count is %d: must be 0 or more", f.count)
	case f.follow && f.untilEnd:
		err = usagef("--follow and --until-end exclude each other")
	case f.follow && from.bounded():
		err = usagef("--follow and a range with an end exclude each other")
	}
	return from, partitions, err
}

// span reads --from; as with kcat, s@TIME and e@TIME may be given both.
func (f *consumeFlags) span(now time.Time) (s span, err error) {
	for i, text := range f.from {
		next, err := parseSpan(text, now)
		if err != nil {
			return s, err
		}
		ends := len(text) > 1 && text[:2] == "e@" && !next.bounded()
		switch {
		case ends && i == 0:
			s = span{position{kind: atBeginning}, next.from}
		case ends:
			s.to = next.from
		case i > 0 && s.from.kind != atBeginning:
			return s, usagef("--from is given twice: %q and %q", f.from[0], text)
		default:
			s.from = next.from
			if next.bounded() {
				s.to = next.to
			}
		}
	}
	if s.backwards() {
		return s, usagef("range %q ends before it begins", strings.Join(f.from, " "))
	}
	return s, nil
}

func (f *consumeFlags) run(ctx context.Context, topics []string, out, stderr io.Writer) error {
	from, partitions, err := f.check(time.Now())
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(out, 256<<10)
	r := &consuming{flags: f, out: buffered}
	if r.write, err = f.writer(buffered); err != nil {
		return err
	}
	if r.topics, r.plan, err = f.plan(ctx, topics, from, partitions); err != nil {
		return err
	}
	if err := r.plan.beyond(stderr, f.follow); err != nil {
		return err
	}
	shown := &progress{}
	if !isTerminal(out) { // both would share the screen
		shown = startProgress(stderr, progress{meter: &r.meter})
		defer shown.Close()
	}
	return errors.Join(r.run(ctx, from.from), buffered.Flush())
}

// writer prints records in the format of the flags.
func (f *consumeFlags) writer(w io.Writer) (func(*kgo.Record) error, error) {
	if f.out.on || f.format == "json" {
		return jsonRecords(w), nil
	}
	keyAs, err := encodingNamed("--key-encoding", f.keyAs)
	if err != nil {
		return nil, err
	}
	valueAs, err := encodingNamed("--value-encoding", f.valueAs)
	if err != nil {
		return nil, err
	}
	format, err := parseFormat(f.format, keyAs, valueAs)
	if err != nil {
		return nil, err
	}
	return formattedRecords(w, format), nil
}

// consuming is one run of consume.
type consuming struct {
	flags  *consumeFlags
	topics []string
	plan   *readPlan
	out    *bufio.Writer
	write  func(*kgo.Record) error
	meter  bench.Meter
	owns   assigned // by the group
}

func (r *consuming) options(from position) []kgo.Opt {
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
	case atFirst:
		reset = kgo.NewOffset().AtStart().Relative(from.n)
	case atLast:
		reset = kgo.NewOffset().AtEnd().Relative(-from.n)
	}
	return append(o, kgo.ConsumerGroup(r.flags.group), kgo.ConsumeTopics(slices.Clone(r.topics)...), kgo.ConsumeResetOffset(reset), kgo.AutoCommitMarks(),
		kgo.OnPartitionsAssigned(r.owns.add), kgo.OnPartitionsRevoked(r.owns.remove), kgo.OnPartitionsLost(r.owns.remove))
}
