package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"varve/internal/say"
)

// resetFlags are the flags of group reset.
type resetFlags struct {
	topics           []string
	all, execute     bool
	earliest, latest bool
	offset           int64
	at               string
	shift            int64
}

// resetRow is one partition's change.
type resetRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // -1: nothing was committed
	To        int64  `json:"to"`
	outcome
	Note string `json:"note,omitempty"` // why it isn't the offset that was asked for
}

// outcome is what became of one partition's change.
type outcome struct {
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}

// settle notes a broker's answer to what was asked, and returns its error in plain words.
func (o *outcome) settle(err error, what string) error {
	if o.Done = err == nil; o.Done {
		return nil
	}
	o.Error = err.Error()
	return sayKafka(what, err, "")
}

// result is what a table shows: would, if nothing was done.
func (o *outcome) result(would, done string) string {
	switch {
	case o.Error != "":
		return o.Error
	case o.Done:
		return done
	}
	return would
}

func groupResetCommand() *cobra.Command {
	var f resetFlags
	var move *position
	c := &cobra.Command{
		Use:   "reset NAME",
		Short: "Move a group's offsets",
		Long: `Move a group's committed offsets. It shows what it would do; --execute does it. The group
must have no members.

Exactly one of --to-earliest, --to-latest, --to-offset, --to-time and --shift says where to.
Offsets stay within what a partition holds.`,
		Example: `  varve group reset readers --topic orders --to-earliest
  varve group reset readers --topic orders:0,3 --to-offset 1000 --execute
  varve group reset readers --all-topics --to-time '2h ago' --execute
  varve group reset readers --all-topics --shift -100 --execute`,
		Args: cobra.ExactArgs(1),
	}
	asking[[]resetRow]{
		names: (*kafkaFlags).groupNames,
		check: func([]string) (err error) { move, err = f.target(c); return err },
		ask: func(ctx context.Context, adm *adminClient, args []string) ([]resetRow, error) {
			return f.reset(ctx, adm, args[0], move)
		},
		show: f.print,
	}.command(c)
	s := c.Flags()
	s.StringArrayVarP(&f.topics, "topic", "t", nil, "a topic, or some of its partitions, like orders:0,3-5; may be repeated")
	s.BoolVar(&f.all, "all-topics", false, "all topics in which the group has offsets")
	s.BoolVar(&f.earliest, "to-earliest", false, "to the first record")
	s.BoolVar(&f.latest, "to-latest", false, "to the end")
	s.Int64Var(&f.offset, "to-offset", 0, "to this offset")
	s.StringVar(&f.at, "to-time", "", "to the first record at or after a time: 2026-01-31T12:00:00Z, @UNIXTIME, '1h ago'")
	s.Int64Var(&f.shift, "shift", 0, "by N records, backwards if negative")
	s.BoolVar(&f.execute, "execute", false, "do it; otherwise it is only shown")
	return c
}

// target is where to move to; nil is by shift.
func (f *resetFlags) target(c *cobra.Command) (*position, error) {
	var to []*position
	if f.earliest {
		to = append(to, &position{kind: atBeginning})
	}
	if f.latest {
		to = append(to, &position{kind: atEnd})
	}
	if c.Flags().Changed("to-offset") {
		if f.offset < 0 {
			return nil, usagef("--to-offset is %d: must be 0 or more", f.offset)
		}
		to = append(to, &position{atOffset, f.offset})
	}
	if f.at != "" {
		p, err := parsePosition(f.at, time.Now())
		if err != nil || p.kind != atTime {
			return nil, usagef("--to-time is %q: want %s", f.at, timeHelp)
		}
		to = append(to, &p)
	}
	if c.Flags().Changed("shift") {
		to = append(to, nil)
	}
	if len(to) != 1 {
		return nil, usagef("give exactly one of --to-earliest, --to-latest, --to-offset, --to-time and --shift")
	}
	if f.all == (len(f.topics) > 0) {
		return nil, usagef("give either --topic or --all-topics")
	}
	return to[0], nil
}

// wanted are the topics to move, with the partitions if not all.
func (f *resetFlags) wanted(committed kadm.OffsetResponses) (map[string][]int32, error) {
	out := map[string][]int32{}
	for t := range committed {
		if f.all {
			out[t] = nil
		}
	}
	for _, text := range f.topics {
		name, partitions, err := topicPartitions(text)
		if err != nil {
			return nil, usagef("--topic %q: want NAME or NAME:PARTITIONS, like orders:0,3-5", text)
		}
		out[name] = partitions
	}
	if len(out) == 0 {
		return nil, notFoundError{"the group has no offsets; --topic says where to set some"}
	}
	return out, nil
}

func (f *resetFlags) reset(ctx context.Context, adm *adminClient, group string, to *position) ([]resetRow, error) {
	committed, err := adm.FetchOffsets(ctx, group)
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		return nil, sayKafka("group "+group, err, "")
	}
	topics, err := f.wanted(committed)
	if err != nil {
		return nil, err
	}
	rows, err := f.moves(ctx, adm, committed, topics, to)
	if err != nil || !f.execute {
		return rows, err
	}
	if err := idle(ctx, adm, group); err != nil {
		return nil, err
	}
	change := kadm.Offsets{}
	for _, r := range rows {
		change.AddOffset(r.Topic, r.Partition, r.To, -1)
	}
	answers, err := adm.CommitOffsets(ctx, group, change)
	if err != nil {
		return nil, sayKafka("reset group "+group, err, "")
	}
	var errs []error
	for i := range rows {
		r := &rows[i]
		if a, ok := answers.Lookup(r.Topic, r.Partition); ok {
			errs = append(errs, r.settle(a.Err, fmt.Sprintf("reset partition %d of %s", r.Partition, r.Topic)))
		}
	}
	return rows, errors.Join(errs...)
}

// idle refuses a group that is in use.
func idle(ctx context.Context, adm *adminClient, group string) error {
	found, err := adm.DescribeGroups(ctx, group)
	if err != nil {
		return sayKafka("group "+group, err, "")
	}
	if n := len(found[group].Members); n > 0 {
		return fmt.Errorf("group %s has %s: stop its consumers first, or they would overwrite the new offsets", group, say.Count(n, "member"))
	}
	return nil
}

func (f *resetFlags) moves(ctx context.Context, adm *adminClient, committed kadm.OffsetResponses, topics map[string][]int32, to *position) ([]resetRow, error) {
	names := slices.Sorted(maps.Keys(topics))
	b, err := listBounds(ctx, adm, false, names...)
	if err != nil {
		return nil, err
	}
	var targets kadm.Offsets
	if to != nil {
		if targets, err = to.resolve(ctx, adm, b, names...); err != nil {
			return nil, err
		}
	}
	ends := b.end.Offsets()
	rows := []resetRow{}
	for _, t := range names {
		one := readPlan{begin: kadm.Offsets{}, end: kadm.Offsets{t: ends[t]}}
		if err := one.only(topics[t]); err != nil {
			return nil, err
		}
		for _, o := range one.end.Sorted() {
			from := int64(-1)
			if c, ok := committed.Lookup(t, o.Partition); ok {
				from = c.At
			}
			at := from + f.shift
			if to != nil {
				target, _ := targets.Lookup(t, o.Partition)
				at = target.At
			} else if from < 0 {
				continue // there is nothing to shift
			}
			start, _ := b.start.Lookup(t, o.Partition)
			if to != nil && to.kind == atOffset {
				at = to.n
			}
			r := resetRow{Topic: t, Partition: o.Partition, From: from, To: min(max(at, start.Offset), o.At)}
			if to == nil || to.kind == atOffset {
				r.Note = outside(at, start.Offset, o.At)
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (f *resetFlags) print(t *table, rows []resetRow) {
	if !slices.ContainsFunc(rows, func(r resetRow) bool { return r.From >= 0 }) {
		t.row("The group has no offsets there yet: it is new, or its name is misspelt.")
		t.gap()
	}
	t.row("TOPIC", "PARTITION", "FROM", "TO", "RESULT")
	for _, r := range rows {
		shift := ""
		if r.From >= 0 {
			shift = " (" + signed(r.To-r.From) + ")"
		}
		t.row(r.Topic, r.Partition, number(r.From), strconv.FormatInt(r.To, 10)+shift, r.result("would be set", "set")+inParentheses(r.Note))
	}
	if !f.execute {
		t.gap()
		t.row("Nothing was changed; --execute does it.")
	}
}

func signed(n int64) string {
	if n > 0 {
		return "+" + strconv.FormatInt(n, 10)
	}
	return strconv.FormatInt(n, 10)
}

// topicPartitions reads TOPIC, TOPIC:PARTITIONS or TOPIC/PARTITIONS.
func topicPartitions(text string) (topic string, partitions []int32, err error) {
	at := strings.IndexAny(text, ":/")
	if at < 0 {
		at = len(text)
	}
	topic = text[:at]
	if at < len(text) {
		if partitions, err = partitionList(text[at+1:]); err == nil && len(partitions) == 0 {
			err = errors.New("no partitions")
		}
	}
	if topic == "" {
		err = errors.New("no topic")
	}
	return topic, partitions, err
}
